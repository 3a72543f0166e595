"""Windows' answers: passes, components and limits as Microsoft's reference has them; the scripts' own rules."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from factory.template.model import Machine, SeedDelivery
from tests.content.shipped import ROOT, answer, late, loaded

pytestmark = pytest.mark.unit

NS = "{urn:schemas-microsoft-com:unattend}"
WCM = "{http://schemas.microsoft.com/WMIConfig/2002/State}"
PASSES = {
    "windowsPE": {
        "Microsoft-Windows-International-Core-WinPE",
        "Microsoft-Windows-PnpCustomizationsWinPE",
        "Microsoft-Windows-Setup",
    },
    "offlineServicing": {"Microsoft-Windows-PnpCustomizationsNonWinPE"},
    "specialize": {
        "Microsoft-Windows-Shell-Setup",
        "Microsoft-Windows-ServerManager-SvrMgrNc",
        "Microsoft-Windows-TerminalServices-LocalSessionManager",
        "Microsoft-Windows-Deployment",
    },
    "oobeSystem": {"Microsoft-Windows-International-Core", "Microsoft-Windows-Shell-Setup"},
}
LONGEST_COMMAND = 1024  # SynchronousCommand/CommandLine and RunSynchronousCommand/Path
SCRIPTS = sorted((ROOT / "scripts" / "guest" / "windows").glob("*.ps1"))


def unattend(more: dict[str, Any] | None = None, **variables: str) -> ET.Element:
    return ET.fromstring(answer("windows-server-2022", "Autounattend.xml", more=more, **variables))


def component(root: ET.Element, in_pass: str, name: str) -> ET.Element:
    (found,) = root.findall(f"{NS}settings[@pass='{in_pass}']/{NS}component[@name='{name}']")
    return found


def texts(root: ET.Element, tag: str) -> list[str]:
    return [(e.text or "").strip() for e in root.iter(NS + tag)]


def test_passes_and_components_are_the_known_ones() -> None:
    root = unattend()
    assert root.tag == f"{NS}unattend"
    found = {s.attrib["pass"]: {c.attrib["name"] for c in s} for s in root.findall(f"{NS}settings")}
    assert found == PASSES
    for element in root.iter(f"{NS}component"):
        assert element.attrib["processorArchitecture"] == "amd64"
        assert element.attrib["publicKeyToken"] == "31bf3856ad364e35"
        assert element.attrib["language"] == "neutral"
        assert element.attrib["versionScope"] == "nonSxS"


def test_every_item_of_a_list_is_added() -> None:
    items = {"Disk", "CreatePartition", "ModifyPartition", "MetaData", "SynchronousCommand", "RunSynchronousCommand"}
    for name in items:
        for element in unattend().iter(NS + name):
            assert element.get(f"{WCM}action") == "add", name


@pytest.mark.parametrize(("firmware", "kinds", "target"), [("uefi", ["EFI", "MSR", "Primary"], "3"),
                                                           ("bios", ["Primary", "Primary"], "2")])  # fmt: skip
def test_the_disk_is_cut_for_the_firmware(firmware: str, kinds: list[str], target: str) -> None:
    setup = component(unattend(more={"install": {"firmware": firmware}}), "windowsPE", "Microsoft-Windows-Setup")
    assert texts(setup, "Type") == kinds
    (install_to,) = list(setup.iter(f"{NS}InstallTo"))
    assert install_to.findtext(f"{NS}PartitionID") == target
    created = [p.findtext(f"{NS}Order") for p in setup.iter(f"{NS}CreatePartition")]
    assert created == [str(n + 1) for n in range(len(kinds))]
    assert [p.findtext(f"{NS}Extend") for p in setup.iter(f"{NS}CreatePartition")][-1] == "true"
    modified = [p.findtext(f"{NS}PartitionID") for p in setup.iter(f"{NS}ModifyPartition")]
    assert modified[-1] == target


def test_the_template_and_its_answers_mean_the_same_firmware() -> None:
    template = loaded("windows-server-2022").template
    assert template.machine.firmware.value == "uefi"
    assert template.install is not None
    assert "firmware" not in template.install.seed_vars


@pytest.mark.parametrize("in_pass", ["windowsPE", "offlineServicing"])
def test_drivers_are_looked_for_on_every_cd(in_pass: str) -> None:
    (settings,) = unattend().findall(f"{NS}settings[@pass='{in_pass}']")
    paths = texts(settings, "Path")
    for driver in ("viostor", "vioscsi", "NetKVM"):
        for letter in "DEFG":
            assert f"{letter}:\\{driver}\\2k22\\amd64" in paths
    keys = [e.attrib[f"{WCM}keyValue"] for e in settings.iter(f"{NS}PathAndCredentials")]
    assert len(keys) == len(set(keys))


def test_the_drivers_cd_is_in_the_machine() -> None:
    machine: Machine = loaded("windows-server-2022", virtio_iso="/srv/virtio.iso").template.machine
    assert "file=/srv/virtio.iso,media=cdrom,if=none,id=virtio,readonly=on" in machine.extra_args
    assert "ide-cd,drive=virtio,bus=ide.5" in machine.extra_args


def test_commands_are_short_enough_and_in_order() -> None:
    root = unattend()
    commands = list(root.iter(f"{NS}SynchronousCommand"))
    assert [c.findtext(f"{NS}Order") for c in commands] == [str(n + 1) for n in range(len(commands))]
    for line in texts(root, "CommandLine") + [t for t in texts(root, "Path") if " " in t]:
        assert len(line) <= LONGEST_COMMAND
        # the command is in double quotes for cmd.exe
        assert line.count('"') in (0, 2), line


def test_winrms_port_opens_last() -> None:
    lines = texts(unattend(), "CommandLine")
    assert "5985" in lines[-1]
    assert not any("5985" in line for line in lines[:-1])
    assert any("Enable-PSRemoting" in line for line in lines)


def test_passwords_with_xmls_own_characters_arrive() -> None:
    template = loaded("windows-server-2022")
    password = late(template)["vars"]["administrator_password"]
    assert set("<&>'") <= set(password)
    root = unattend()
    values = [e.findtext(f"{NS}Value") for tag in ("AdministratorPassword", "Password") for e in root.iter(NS + tag)]
    assert values == [password, password]


def test_the_evaluation_needs_no_key() -> None:
    product = component(unattend(), "windowsPE", "Microsoft-Windows-Setup").find(f"{NS}UserData/{NS}ProductKey")
    assert product is not None
    assert product.find(f"{NS}Key") is None
    keyed = component(unattend(product_key="AAAAA-BBBBB"), "windowsPE", "Microsoft-Windows-Setup")
    assert keyed.findtext(f"{NS}UserData/{NS}ProductKey/{NS}Key") == "AAAAA-BBBBB"


def test_the_answers_travel_on_a_cd_under_the_name_that_setup_looks_for() -> None:
    profile = loaded("windows-server-2022").profile
    assert profile is not None
    assert profile.seed is not None
    assert profile.seed.delivery is SeedDelivery.CD
    assert profile.seed.main == "Autounattend.xml"
    assert profile.guest == "windows"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.name)
def test_scripts_stop_at_the_first_error(script: Any) -> None:
    text = script.read_text()
    assert text.startswith("<#\n"), "each says at its top what it does"
    assert "Set-StrictMode -Version Latest" in text
    assert "$ErrorActionPreference = 'Stop'" in text
    assert text.isascii(), "Windows PowerShell 5 reads a file without a mark as the system's code page"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.name)
def test_scripts_close_what_they_open(script: Any) -> None:
    assert unbalanced(script.read_text()) == ""


@pytest.mark.parametrize("text", ["if ($a) { 'b' ", "f('a'))", "Write-Output 'a", 'Write-Output "a', "<# a"])
def test_what_is_not_closed_is_found(text: str) -> None:
    assert unbalanced(text)


def unbalanced(text: str) -> str:
    """What PowerShell would miss: strings, comments and brackets, as far as they nest in our scripts."""
    token = re.compile(r"<#.*?#>|#[^\n]*|'(?:[^']|'')*'|\"(?:[^\"`]|`.|\"\")*\"|[(){}\[\]'\"]|<#", re.DOTALL)
    pairs = {")": "(", "}": "{", "]": "["}
    opened: list[str] = []
    for match in token.finditer(text):
        word = match[0]
        if word in ("(", "{", "["):
            opened.append(word)
        elif word in pairs and (not opened or opened.pop() != pairs[word]):
            return f"{word} at {match.start()} closes nothing"
        elif word in ("'", '"', "<#"):
            return f"{word} at {match.start()} is not closed"
    return f"not closed: {opened}" if opened else ""
