<#
Generalises Windows and switches it off: each clone gets its own identity and asks for a password at its first start.
Meant for the template's `shutdown.command`, after a `file` provisioner has put it on the disk.

  $env:UNATTEND   answer file for that first start (default: none, Windows asks)
#>
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

# WinRM without encryption was for the build.
Set-Item -Path WSMan:\localhost\Service\AllowUnencrypted -Value $false
Set-Item -Path WSMan:\localhost\Service\Auth\Basic -Value $false
Remove-NetFirewallRule -Name factory-winrm -ErrorAction SilentlyContinue

$arguments = @('/generalize', '/oobe', '/shutdown', '/quiet', '/mode:vm')
if ($env:UNATTEND) { $arguments += "/unattend:$env:UNATTEND" }
$tag = "$env:SystemRoot\System32\Sysprep\Sysprep_succeeded.tag"
if (Test-Path $tag) { Remove-Item -Path $tag -Force }
Start-Process -FilePath "$env:SystemRoot\System32\Sysprep\sysprep.exe" -ArgumentList $arguments
