<#
Installs the virtio drivers that Setup did not need and QEMU's guest agent, from the CD virtio-win.
May be run again. Does nothing on a machine without that CD.
#>
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

function Get-DriversRoot {
    Get-CimInstance -ClassName Win32_LogicalDisk -Filter 'DriveType = 5' |
        ForEach-Object { "$($_.DeviceID)\" } |
        Where-Object { Test-Path (Join-Path $_ 'viostor') } |
        Select-Object -First 1
}

function Invoke-Installer([string] $Path, [string[]] $Arguments) {
    $process = Start-Process -FilePath $Path -ArgumentList $Arguments -Wait -PassThru
    # 3010: installed, a restart is wanted
    if ($process.ExitCode -notin 0, 3010) {
        throw "$Path ended with exit code $($process.ExitCode)"
    }
}

$root = Get-DriversRoot
if (-not $root) {
    Write-Output 'guest-tools: no CD with virtio drivers'
    exit 0
}

foreach ($driver in 'Balloon', 'NetKVM', 'vioscsi', 'vioserial', 'viostor', 'viorng', 'pvpanic', 'fwcfg') {
    $folder = Join-Path $root "$driver\2k22\amd64"
    if (-not (Test-Path $folder)) { continue }
    $said = & pnputil.exe /add-driver "$folder\*.inf" /install
    # 259: nothing newer than what is there; 3010: a restart is wanted
    if ($LASTEXITCODE -notin 0, 259, 3010) {
        throw "pnputil could not add ${driver}: $said"
    }
    Write-Output "guest-tools: driver $driver"
}

if (Get-Service -Name QEMU-GA -ErrorAction SilentlyContinue) {
    Write-Output 'guest-tools: the agent is there'
} else {
    $agent = Join-Path $root 'guest-agent\qemu-ga-x86_64.msi'
    if (Test-Path $agent) {
        Invoke-Installer 'msiexec.exe' @('/i', "`"$agent`"", '/qn', '/norestart')
        Set-Service -Name QEMU-GA -StartupType Automatic
        Write-Output 'guest-tools: agent installed'
    }
}
