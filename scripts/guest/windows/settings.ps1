<#
Settings of a server that nobody sits at. May be run again.

  $env:REMOTE_DESKTOP   yes opens Remote Desktop (default: as it is)
#>
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

# The hardware clock of a virtual machine is in UTC everywhere but on Windows.
Set-ItemProperty -Path 'HKLM:\SYSTEM\CurrentControlSet\Control\TimeZoneInformation' -Name RealTimeIsUniversal -Value 1 -Type DWord

# High performance, no sleep, no hibernation file (as large as memory, and full of it).
& powercfg.exe /setactive SCHEME_MIN
& powercfg.exe /hibernate off
& powercfg.exe /change monitor-timeout-ac 0
& powercfg.exe /change standby-timeout-ac 0

# A crash restarts the machine; it leaves a small dump and asks nobody.
$crash = 'HKLM:\SYSTEM\CurrentControlSet\Control\CrashControl'
Set-ItemProperty -Path $crash -Name AutoReboot -Value 1 -Type DWord
Set-ItemProperty -Path $crash -Name CrashDumpEnabled -Value 3 -Type DWord
Set-ItemProperty -Path 'HKLM:\SOFTWARE\Microsoft\Windows\Windows Error Reporting' -Name DontShowUI -Value 1 -Type DWord

# Emergency console on the first serial line (SAC): reachable when the network is not.
& bcdedit.exe /ems '{current}' on | Out-Null
& bcdedit.exe /emssettings EMSPORT:1 EMSBAUDRATE:115200 | Out-Null
& bcdedit.exe /timeout 3 | Out-Null

if ($env:REMOTE_DESKTOP -eq 'yes') {
    Set-ItemProperty -Path 'HKLM:\SYSTEM\CurrentControlSet\Control\Terminal Server' -Name fDenyTSConnections -Value 0 -Type DWord
    Enable-NetFirewallRule -Group '@FirewallAPI.dll,-28752'
}

# Nothing new is loaded while the image is built; machines made from it update themselves again (cleanup.ps1).
Stop-Service -Name wuauserv, BITS -Force -ErrorAction SilentlyContinue
Set-Service -Name wuauserv -StartupType Disabled
Write-Output 'settings: done'
