<#
Turns Windows' own OpenSSH server on. May be run again. Needs the network or an ISO with features on demand.

  $env:ADMIN_KEY   public key for administrators (default: none)
#>
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

$capability = Get-WindowsCapability -Online -Name 'OpenSSH.Server*' | Select-Object -First 1
if (-not $capability) { throw 'this Windows does not know the capability OpenSSH.Server' }
if ($capability.State -ne 'Installed') {
    Add-WindowsCapability -Online -Name $capability.Name | Out-Null
}
Set-Service -Name sshd -StartupType Automatic
if (-not (Get-NetFirewallRule -Name 'OpenSSH-Server-In-TCP' -ErrorAction SilentlyContinue)) {
    New-NetFirewallRule -Name 'OpenSSH-Server-In-TCP' -DisplayName 'OpenSSH Server (sshd)' -Direction Inbound `
        -Protocol TCP -LocalPort 22 -Action Allow | Out-Null
}
$shell = 'HKLM:\SOFTWARE\OpenSSH'
if (-not (Test-Path $shell)) { New-Item -Path $shell -Force | Out-Null }
Set-ItemProperty -Path $shell -Name DefaultShell -Value "$env:SystemRoot\System32\WindowsPowerShell\v1.0\powershell.exe"

if ($env:ADMIN_KEY) {
    $file = Join-Path $env:ProgramData 'ssh\administrators_authorized_keys'
    New-Item -ItemType Directory -Force -Path (Split-Path $file) | Out-Null
    Set-Content -Path $file -Value $env:ADMIN_KEY -Encoding ascii
    # sshd refuses this file when anybody else may read it (S-1-5-32-544: Administrators, S-1-5-18: SYSTEM)
    & icacls.exe $file /inheritance:r /grant '*S-1-5-32-544:F' /grant '*S-1-5-18:F' | Out-Null
    if ($LASTEXITCODE) { throw "icacls ended with exit code $LASTEXITCODE" }
}
Start-Service -Name sshd
Write-Output 'openssh: ready'
