"""A first template for an ISO, as commented YAML; and skeletons for an ISO that no profile knows."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from factory.drivers.iso_view import IsoView
from factory.template.boot_files import BootFiles, initrds, kernels
from factory.template.boot_menus import MenuEntry
from factory.template.identify import Identity
from factory.template.model import Machine, Profile, ProfileSeed, SeedDelivery
from factory.template.starting_points import StartingPoint, text

_WIDTH = 120
_NOTES = 32
"""The column of the notes behind lines."""


@dataclass(frozen=True, slots=True)
class IsoFile:
    """The ISO as the template names it.

    Args:
        path: as it is written under ``source.iso.path``.
        name: the file's own name, for words.
        sha256: of its content.
    """

    path: str
    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Scaffold:
    """What the lines of a template are made of.

    Args:
        reasons: why this profile, in words.
        boot_files: what a direct boot starts; None where the ISO is booted by typing.
        extends: the fragment that brings what is provisioned; empty for none.
        schema: where an editor finds the template's JSON Schema, as seen from the template.
    """

    name: str
    iso: IsoFile
    identity: Identity
    profile: Profile
    reasons: tuple[str, ...]
    point: StartingPoint
    view: IsoView
    boot_files: BootFiles | None
    extends: str
    schema: str

    def yaml(self) -> str:
        """The whole template."""
        parts = [
            self._head(), self._variables(), self._source(), self._machine(), self._install(),
            _section("access", self.point.access), self._provision(), _section("shutdown", self.point.shutdown),
            [_noted(f"seal: {self.point.seal}", self.point.seal_note)], self._outputs(), self._verify(),
        ]  # fmt: skip
        return "\n\n".join("\n".join(_aligned(lines)) for lines in parts if lines) + "\n"

    def _head(self) -> list[str]:
        what = str(self.identity) or f"an ISO labelled '{self.view.volume_id}'"
        lines = [f"# yaml-language-server: $schema={self.schema}", "# Made by `factory init`."]
        lines += _comment(f"{self.iso.name} is {what}: {'; '.join(self.reasons)}.", *self.point.notes)
        if not self.profile.proven:
            lines += _comment(f"No whole build with the boot profile {self.profile.name} has been tested yet.")
        described = f"{self.identity} from {self.iso.name}" if self.identity.family else self.iso.name
        lines += ["format: 1", f"name: {self.name}", f"description: {text(described)}"]
        if self.extends:
            lines.append(_noted(f"extends: [{self.extends}]", "packages, guest agent, cloud-init, serial console, SSH"))
        return lines

    def _variables(self) -> list[str]:
        if self.point.variables:
            return _section("variables", self.point.variables)
        return ["# variables:", '#   motd: {help: "What a login shows", default: hello}', "#   # -var motd=… sets it,"
                " {{ vars.motd }} uses it"]  # fmt: skip

    def _source(self) -> list[str]:
        return [
            "source:", "  iso:", f"    path: {text(self.iso.path)}", f"    checksum: sha256:{self.iso.sha256}",
            "    # Or from its publisher, which makes the template work on another computer:",
            '    # url: "https://…/installer.iso"',
            '    # checksum: "file:https://…/SHA256SUMS"',
        ]  # fmt: skip

    def _machine(self) -> list[str]:
        boots = " and ".join({"bios": "BIOS", "uefi": "UEFI"}[b] for b in self.view.boots)
        known = f"the ISO boots by {boots}; " if boots else ""
        lines = [
            "cpus: 2",
            _noted(f"memory: {self.point.memory}", self.point.memory_note),
            _noted(f"firmware: {self._firmware()}", f"{known}bios, uefi or uefi-secure"),
            _noted(f"disks: [{{id: main, size: {self.point.disk}}}]", "bus: virtio, scsi, sata or nvme"),
        ]
        return _section("machine", (*lines, *self.point.machine))

    def _firmware(self) -> str:
        """The best that the ISO boots by, where it says so."""
        fitting = [f for f in self.point.firmware if not self.view.boots or f.split("-")[0] in self.view.boots]
        return (fitting or self.point.firmware)[0]

    def _install(self) -> list[str]:
        lines = [f"profile: {self.profile.name}"]
        if self.boot_files:
            files = " and ".join(f for f in (self.boot_files.kernel, self.boot_files.initrd) if f)
            lines.append(_noted("boot: direct", f"nothing is typed: starts {files} ({self.boot_files.sign})"))
            if self.profile.typed:
                lines.append(_noted("# boot: typed", "through the CD's own boot menu, as by hand"))
        elif self.profile.direct and self.profile.typed:
            lines.append(_noted("boot: typed", "the kernel that the profile would start is not on this ISO"))
        seed = self.profile.seed
        if seed:
            how = {SeedDelivery.HTTP: "over HTTP", SeedDelivery.CD: f"on a CD labelled {seed.cd_label}"}
            travels = how.get(seed.delivery, f"by {seed.delivery}")
            lines.append(_noted("# seed_dir: my-answers", f"your own, in place of http_seed/{seed.directory}"))
            ways = f"how the answers travel: {self._ways(seed)}; now {travels}"
            lines.append(_noted(f"# seed: {seed.delivery}", ways))
        return _section("install", (*lines, *self.point.install))

    def _ways(self, seed: ProfileSeed) -> str:
        """Those that the installer can read on the machine that this template asks for."""
        ways = [str(way) for way in seed.ways(Machine().type)]
        if self.boot_files and self.profile.direct and self.profile.direct.seed_in_initrd is not None:
            ways.append("initrd")
        return " or ".join(part for part in (", ".join(ways[:-1]), ways[-1]) if part)

    def _provision(self) -> list[str]:
        if self.point.provision:
            return _section("provision", self.point.provision)
        key = _noted("# provision+:", "in addition to those of the fragment") if self.extends else "# provision:"
        return [
            key,
            "#   - shell: {inline: [\"echo hello >/etc/motd\"]}",
            '#   - file: {source: files/app.conf, destination: /etc/app.conf, mode: "0644"}',
            "#   - reboot: {}",
        ]  # fmt: skip

    def _outputs(self) -> list[str]:
        more = "also: vmdk, ova, vhdx, {raw: {compress: zstd, bmap: true}}, {vagrant: {provider: libvirt}}"
        return [_noted(f"outputs: {self.point.outputs}", more)]

    def _verify(self) -> list[str]:
        several = "two machines from one image must not share an identity"
        lines = [
            _noted("boot: true", "what is delivered must come up and let us in"),
            _noted(f"clones: {self.point.clones}", several if self.point.clones > 1 else "how many at once"),
        ]
        commands = ", ".join(text(command) for command in self.point.verify)
        example = _noted('# run: ["test -s /etc/os-release"]', "commands that must succeed in it")
        return _section("verify", (*lines, f"run: [{commands}]" if commands else example))


def profile_skeleton(name: str, view: IsoView, entries: tuple[MenuEntry, ...], iso_name: str, schema: str) -> str:
    """A boot profile to be completed, for an ISO that none knows: with the kernel that its own menu starts."""
    entry = entries[0] if entries else None
    kernel = entry.kernel if entry else next(iter(kernels(view)), "")
    initrd = entry.initrd if entry else next(iter(initrds(view)), "")
    label = f"volume_id: {text(_exact(view.volume_id))}, " if view.volume_id else ""
    marks = [kernel] if kernel else list(view.names[:2])
    lines = [
        f"# yaml-language-server: $schema={schema}",
        *_comment(
            f"A skeleton by `factory init` for {iso_name}, which no profile knew. To be completed: where the installer "
            "is told of its answers (`direct.command_line`, `typed.command`), and the answers themselves (`seed`)."
        ),
        "format: 1",
        f"name: {name}",
        f"description: {text(f'What installs from {iso_name}')}",
        "recognise:",
        f"  - {{{label}paths: [{', '.join(text(m) for m in marks)}]}}",
        "",
    ]
    lines += _direct_skeleton(entries, kernel, initrd)
    lines += [
        '# What is typed at the CD\'s boot prompt. <waitText "…" 60s> waits for words on the screen,',
        "# <waitSerial …> on the serial line; <esc>, <enter>, <tab>, <down> … are keys.",
        "typed:",
        "  wait: 10s",
        "  command:",
        '    - "<enter>"',
        "",
        "# The answers: a folder http_seed/NAME/; its files are rendered by Jinja2 where they end in .j2.",
        "# Installers are told of them by {{ seed.url }}/FILE above.",
        f"# seed: {{directory: {name}, main: answers, delivery: http}}",
        "",
        "finished: guest-reset        # or guest-shutdown",
        "deadline: 2h",
        "guest: linux                 # or bsd, windows",
    ]
    return "\n".join(lines) + "\n"


def _direct_skeleton(entries: tuple[MenuEntry, ...], kernel: str, initrd: str) -> Iterator[str]:
    if not kernel:
        yield "# No kernel was found in the ISO that could be started directly:"
        yield from ("# direct:", "#   kernel: [boot/vmlinuz]", "#   initrd: [boot/initrd.img]", '#   command_line: "…"')
        yield ""
        return
    words = entries[0].words if entries else ""
    if entries:
        yield from (line for e in entries[:8] for line in _comment(f"{e.menu}, '{e.title}': {e.kernel} {e.words}"))
    yield "direct:"
    yield f"  kernel: [{text(kernel)}]"
    if initrd:
        yield f"  initrd: [{text(initrd)}]"
    # Before the menu's own words: what follows Debian's `---` is for the installed system.
    serial = "" if "console=ttyS" in words else "console=tty0 console=ttyS0,115200n8"
    yield f"  command_line: {text(f'{serial} {words}'.strip())}"
    yield ""


def _exact(label: str) -> str:
    escaped = "".join(f"\\{c}" if c in r"\.^$*+?{}[]()|" else c for c in label)
    return f"^{escaped}$"


def _section(name: str, lines: Iterable[str]) -> list[str]:
    body = [f"  {line}" for line in lines]
    return [f"{name}:", *body] if body else []


def _noted(line: str, note: str) -> str:
    return f"{line}\t{_shown(note)}" if note else line


def _shown(words: str) -> str:
    """Words for a comment, which names in an ISO must not end."""
    return " ".join("".join(c if c.isprintable() else " " for c in words).split())


def _aligned(lines: Iterable[str]) -> Iterator[str]:
    """With the notes of lines in one column; one that is too long for its line goes above it."""
    for line in lines:
        code, tab, note = line.partition("\t")
        whole = f"{code:<{_NOTES - 2}}  # {note}"
        if not tab:
            yield line
        elif len(whole) <= _WIDTH:
            yield whole
        else:
            indent = code[: len(code) - len(code.lstrip(" #"))]
            yield from (f"{indent.replace('#', ' ')}{line}" for line in _comment(note))
            yield code


def _comment(*sentences: str) -> list[str]:
    return [
        line
        for sentence in sentences
        for line in textwrap.wrap(
            _shown(sentence), _WIDTH, initial_indent="# ", subsequent_indent="#   ", break_long_words=False
        )
    ]
