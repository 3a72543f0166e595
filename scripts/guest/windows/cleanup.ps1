<#
The last script in the guest: what only the build needed goes, and what can be made again. May be run again.

Automatic logon, the answer file with its password, logs, caches, superseded components; updates come back on. Space
is given back by trimming, so the disk's file shrinks with `discard`.
WinRM stays as it is until the image is generalised (sysprep.ps1): the factory still has to switch the machine off.
#>
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

# The password of the automatic logon.
$logon = 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon'
Set-ItemProperty -Path $logon -Name AutoAdminLogon -Value '0'
foreach ($name in 'DefaultPassword', 'AutoLogonCount') {
    Remove-ItemProperty -Path $logon -Name $name -ErrorAction SilentlyContinue
}
# Setup's copies of the answers.
foreach ($file in 'C:\Windows\Panther\unattend.xml', 'C:\Windows\Panther\Unattend\unattend.xml',
    'C:\Windows\System32\Sysprep\unattend.xml', 'C:\Windows\Panther\unattend-original.xml') {
    if (Test-Path $file) { Remove-Item -Path $file -Force }
}

Set-Service -Name wuauserv -StartupType Manual
Stop-Service -Name wuauserv, BITS -Force -ErrorAction SilentlyContinue
Remove-Item -Path 'C:\Windows\SoftwareDistribution\Download\*' -Recurse -Force -ErrorAction SilentlyContinue

& dism.exe /Online /Cleanup-Image /StartComponentCleanup /ResetBase /Quiet
if ($LASTEXITCODE -notin 0, 3010) { throw "dism ended with exit code $LASTEXITCODE" }

foreach ($folder in 'C:\Windows\Temp', $env:TEMP, 'C:\Windows\Prefetch', 'C:\Windows\Logs\CBS', 'C:\Windows\Logs\DISM') {
    # what is in use stays: this very script lies in one of them
    Get-ChildItem -Path $folder -Force -ErrorAction SilentlyContinue |
        Where-Object { $_.FullName -ne $PSCommandPath } |
        Remove-Item -Recurse -Force -ErrorAction SilentlyContinue
}
Clear-RecycleBin -Force -ErrorAction SilentlyContinue
& wevtutil.exe el | ForEach-Object {
    try { & wevtutil.exe cl $_ 2>$null } catch { Write-Verbose "log $_ can't be cleared" }
}
Optimize-Volume -DriveLetter C -ReTrim
Write-Output 'cleanup: done'
exit 0
