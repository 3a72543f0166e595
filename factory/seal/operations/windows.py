"""What can be done to Windows from outside. The rest (SID, drivers, activation) is Sysprep's work, inside."""

from __future__ import annotations

from factory.seal.model import WINDOWS, Operation

OPERATIONS = (
    Operation(
        "windows-memory-files",
        "removes pagefile.sys, hiberfil.sys and swapfile.sys",
        "they hold memory of the build, secrets included; Windows makes them again",
        families=WINDOWS,
        remove=("/{pagefile,hiberfil,swapfile}.sys",),
    ),
    Operation(
        "windows-tmp",
        "empties temporary folders and the recycle bin",
        "installers and provisioning scripts leave files there",
        families=WINDOWS,
        remove=(
            "/Windows/Temp/*",
            "/Users/*/AppData/Local/Temp/*",
            "/$Recycle.Bin/*",
            "/Windows/ServiceProfiles/*/AppData/Local/Temp/*",
        ),
    ),
    Operation(
        "windows-update-cache",
        "removes downloaded updates and delivery optimisation's cache",
        "gigabytes that are never used again",
        families=WINDOWS,
        remove=("/Windows/SoftwareDistribution/{Download,DeliveryOptimization}/*", "/Windows/Prefetch/*"),
    ),
    Operation(
        "windows-crash-data",
        "removes memory dumps and error reports",
        "a dump holds memory, secrets included",
        families=WINDOWS,
        remove=(
            "/Windows/{MEMORY.DMP,Minidump/*,LiveKernelReports/*}",
            "/ProgramData/Microsoft/Windows/WER/{ReportArchive,ReportQueue,Temp}/*",
            "/Users/*/AppData/Local/CrashDumps/*",
        ),
    ),
    Operation(
        "windows-installer-leftovers",
        "removes answer files and logs of the set-up",
        "unattend.xml keeps passwords, readable by anyone",
        families=WINDOWS,
        remove=(
            "/Windows/Panther/{unattend.xml,unattend-original.xml,UnattendGC/**,Unattend/**,*.log,*.etl}",
            "/Windows/{System32/Sysprep/Panther/**,debug/NetSetup.LOG,setupact.log,setuperr.log}",
            "/{autounattend,Autounattend,unattend}.xml",
            "/$WINDOWS.~BT",
            "/$Windows.~WS",
        ),
    ),
    Operation(
        "windows-ssh",
        "removes OpenSSH's host keys",
        "sshd makes missing ones by itself when its service starts",
        families=WINDOWS,
        remove=("/ProgramData/ssh/{ssh_host_*,administrators_authorized_keys}",),
    ),
    Operation(
        "windows-history",
        "removes PowerShell's history",
        "people type secrets",
        families=WINDOWS,
        remove=("/Users/*/AppData/Roaming/Microsoft/Windows/PowerShell/PSReadLine/ConsoleHost_history.txt",),
    ),
)
SYSPREP_NOTE = (
    "Windows: files were cleaned from outside; the machine SID, activation and installed drivers are generalised only "
    "by `sysprep /generalize /oobe /shutdown` inside, as the last provisioner"
)
