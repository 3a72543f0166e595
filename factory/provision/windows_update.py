"""Windows updates: searched for, installed and restarted for until none is left (the options of rgl/windows-update).

The Windows Update Agent refuses remote sessions (``IUpdateDownloader.Download`` gives E_ACCESSDENIED), so its script
runs as a scheduled task of SYSTEM, or of the user that is named.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from factory.deadline import Deadline
from factory.errors import Evidence, GuestCommandFailed, StepError
from factory.events import Note
from factory.provision.context import ProvisionContext
from factory.provision.reboot import RebootProvisioner
from factory.provision.windows_scripts import Elevation, WindowsScripts, quoted, script_result
from factory.quantity import Duration
from factory.secret import Secret

NONE_LEFT, RESTART, SOME_FAILED, MORE = 0, 101, 102, 103
"""Exit statuses of the script: nothing to do, restart first, only failures, look again at once."""
MOST_ROUNDS = 60
DEFAULT_CRITERIA = "BrowseOnly=0 and IsInstalled=0"
DEFAULT_LIMIT = 1000
DEFAULT_RETRIES = 5
DEFAULT_RESTART = Duration(4 * 3600)
RESTART_COMMAND = 'shutdown /r /f /t 0 /c "windows-update"'
SYSTEM = Elevation("SYSTEM", Secret(""))
_FILTER = re.compile(r"(include|exclude):(.+)\Z", re.DOTALL)
_SCRIPT = """$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
trap {{ Write-Output "failed: $_"; exit {failed} }}
$waiting = @(
  'HKLM:\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Component Based Servicing\\RebootPending'
  'HKLM:\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\WindowsUpdate\\Auto Update\\RebootRequired'
) | Where-Object {{ Test-Path $_ }}
if ($waiting) {{ Write-Output 'Windows waits for a restart'; exit {restart} }}
function Test-Wanted($update) {{
  $update | ForEach-Object {{
{filters}
    $false
  }}
}}
$session = New-Object -ComObject Microsoft.Update.Session
$session.ClientApplicationID = 'factory'
$wanted = New-Object -ComObject Microsoft.Update.UpdateColl
$more = $false
foreach ($update in $session.CreateUpdateSearcher().Search({criteria}).Updates) {{
  if (-not (Test-Wanted $update)) {{ Write-Output "left out: $($update.Title)"; continue }}
  if ($wanted.Count -ge {limit}) {{ $more = $true; break }}
  if (-not $update.EulaAccepted) {{ $update.AcceptEula() }}
  Write-Output "found: $($update.Title) ($([long]$update.MaxDownloadSize) bytes at most)"
  [void]$wanted.Add($update)
}}
if ($wanted.Count -eq 0) {{ Write-Output 'no update is left'; exit {none_left} }}
$downloader = $session.CreateUpdateDownloader()
$downloader.Updates = $wanted
[void]$downloader.Download()
$ready = New-Object -ComObject Microsoft.Update.UpdateColl
foreach ($update in $wanted) {{
  if ($update.IsDownloaded) {{ [void]$ready.Add($update) }} else {{ Write-Output "not downloaded: $($update.Title)" }}
}}
if ($ready.Count -eq 0) {{ exit {failed} }}
$installer = $session.CreateUpdateInstaller()
$installer.Updates = $ready
$result = $installer.Install()
$installed = 0
for ($i = 0; $i -lt $ready.Count; $i++) {{
  $one = $result.GetUpdateResult($i)
  if ($one.ResultCode -in 2, 3) {{
    $installed++
    Write-Output "installed: $($ready.Item($i).Title)"
  }} else {{
    Write-Output ("not installed (0x{{0:X8}}): {{1}}" -f $one.HResult, $ready.Item($i).Title)
  }}
}}
if ($result.RebootRequired) {{ exit {restart} }}
if ($installed -eq 0) {{ exit {failed} }}
exit {again}
"""


@dataclass(frozen=True, slots=True)
class WindowsUpdate:
    """``filters`` as in the template: ``include:EXPRESSION`` and ``exclude:EXPRESSION``, the first that holds decides.

    ``limit``: how many updates are installed at once. ``retries``: how often rounds that install nothing may follow
    each other. ``restart`` bounds each restart, of which an upgrade may take hours.
    """

    criteria: str = DEFAULT_CRITERIA
    filters: tuple[str, ...] = ()
    limit: int = DEFAULT_LIMIT
    retries: int = DEFAULT_RETRIES
    restart: Duration = DEFAULT_RESTART
    elevation: Elevation = SYSTEM

    def script(self) -> str:
        """The PowerShell that makes one round. Raises: StepError for a filter that is none."""
        return _SCRIPT.format(
            criteria=quoted(self.criteria),
            filters="\n".join(_condition(text) for text in self.filters or ("include:$true",)),
            limit=self.limit,
            none_left=NONE_LEFT,
            restart=RESTART,
            failed=SOME_FAILED,
            again=MORE,
        )

    async def run(self, context: ProvisionContext, deadline: Deadline) -> None:
        """Raises: GuestCommandFailed when updates keep failing, GuestUnreachable, DeadlineExpired."""
        content = self.script().replace("\n", "\r\n").encode("utf-8-sig")
        caller = WindowsScripts((), ".ps1", elevation=self.elevation)
        failures = 0
        for number in range(1, MOST_ROUNDS + 1):
            context.emit(Note(f"{context.name}: Windows updates, round {number}"))
            result = await script_result(caller, context, deadline, "windows-update", content)
            if result.exit_status == NONE_LEFT:
                return
            failures = 0 if result.exit_status in (RESTART, MORE) else failures + 1
            if failures > self.retries or result.exit_status not in (RESTART, SOME_FAILED, MORE):
                words = (result.stdout or result.stderr).strip().splitlines()
                raise GuestCommandFailed(
                    f"Windows updates ended with status {result.exit_status}" + (f": {words[-1]}" if words else ""),
                    exit_status=result.exit_status,
                    hint="the lines above say which; a filter leaves one out: exclude:$_.Title -like '*KB…*'",
                    evidence=Evidence(exit_status=result.exit_status, stderr=result.stderr),
                )
            if result.exit_status != MORE:
                await RebootProvisioner(RESTART_COMMAND, self.restart).run(context, deadline)
        raise GuestCommandFailed(
            f"Windows still has updates to install after {MOST_ROUNDS} rounds",
            hint="an update that says it was installed and comes back: leave it out with a filter",
        )


def _condition(text: str) -> str:
    found = _FILTER.match(text.strip())
    if found is None:
        raise StepError(f"“{text}” is not a filter for updates", hint="write include:EXPRESSION or exclude:EXPRESSION")
    verdict = "$true" if found[1] == "include" else "$false"
    return f"    if (& {{ {found[2].strip()} }}) {{ {verdict}; return }}"


def make(options: Mapping[str, Any]) -> WindowsUpdate:
    """For ``provision.catalog``: the plug-in's option names. Raises: StepError for a filter that is none."""
    filters: Sequence[str] = options.get("filters") or ()
    user = str(options.get("username") or "")
    provisioner = WindowsUpdate(
        criteria=str(options.get("search_criteria") or DEFAULT_CRITERIA),
        filters=tuple(str(f) for f in filters),
        limit=int(options.get("update_limit") or DEFAULT_LIMIT),
        retries=int(options.get("update_max_retries") or DEFAULT_RETRIES),
        restart=Duration(float(options.get("restart_timeout") or DEFAULT_RESTART)),
        elevation=Elevation(user or "SYSTEM", Secret(str(options.get("password") or ""))),
    )
    provisioner.script()
    return provisioner
