"""Rules of an installation: how the installer is booted, and by which way its seed reaches it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from factory.errors import Place, Problem, SeedError
from factory.template.check_boot import served_names
from factory.template.check_parts import Parts
from factory.template.model import BootMethod, Install, Machine, Profile, SeedDelivery
from factory.template.seed import file_problems, files_of, missing_main
from factory.template.yaml_source import shown_name


def delivery(parts: Parts) -> SeedDelivery | None:
    """How the seed reaches the installer: as the template says, else as the profile does."""
    install, profile = parts.get("install"), parts.draft.profile
    return (install.seed if install else None) or (profile.seed.delivery if profile and profile.seed else None)


def without_network(parts: Parts) -> str:
    """The end of a hint: how else the seed could travel to this installer; empty when by no other way."""
    profile = parts.draft.profile
    other = next((way for way in _ways(parts, profile) if way is not SeedDelivery.HTTP), None) if profile else None
    return f", or bring the seed by `install: {{seed: {other}}}`" if other else ""


def _install(parts: Parts) -> Iterator[Problem]:
    install: Install | None = parts.get("install")
    profile = parts.draft.profile
    if install is None:
        return
    names = [f.name for f in install.seed_files]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield parts.problem("install", "seed_files", index, message=f"two seed files are called '{name}'")
        if {"", ".", ".."} & set(name.split("/")) or "\\" in name:
            yield parts.problem("install", "seed_files", index, "name", message=f"'{name}' leads out of the seed")
    if profile is None:
        return
    typed = install.boot_command is not None or (profile.typed is not None and bool(profile.typed.command))
    direct = profile.direct is not None and bool(profile.direct.kernel)
    if install.boot is BootMethod.TYPED and not typed:
        message = f"`boot: typed`, but neither the template nor the profile '{profile.name}' has a boot command"
        yield parts.problem("install", "boot", message=message, hint="write `boot_command`")
    elif install.boot is BootMethod.DIRECT and not direct:
        message = f"`boot: direct`, but the profile '{profile.name}' names no kernel"
        yield parts.problem("install", "boot", message=message, hint="use `boot: typed`")
    elif not typed and not direct:
        message = f"the profile '{profile.name}' says neither what to type nor which kernel to start"
        yield parts.problem("install", "profile", message=message, hint="write `boot_command`")
    if install.boot is BootMethod.DIRECT and install.boot_command and direct:
        message = "the boot command is never typed: `boot: direct` starts the kernel without the ISO's boot loader"
        hint = "write `boot: typed`; or `boot_command: null`, and under `kernel_args` what the kernel is to be told"
        yield parts.problem("install", "boot_command", message=message, hint=hint, severity="warning")
    if install.seed is SeedDelivery.INITRD:
        yield from _seed_in_initrd(parts, install, profile)
    elif install.seed is not None:
        yield from _unread_seed(parts, install.seed, profile)


def _seed_in_initrd(parts: Parts, install: Install, profile: Profile) -> Iterator[Problem]:
    """An initrd that we add to must be started by us, and its installer must look into it."""
    typed = install.boot is BootMethod.TYPED or install.boot_command is not None
    if typed or profile.direct is None:
        message = "a seed in the initrd needs a direct boot: the boot menu of the ISO starts its own initrd"
        hint = "use `boot: direct`" if profile.direct else f"use {_in_words(_ways(parts, profile))}"
        yield parts.problem("install", "seed", message=message, hint=hint)
    elif profile.direct.seed_in_initrd is None:
        message = f"the installer of '{profile.name}' does not look for its seed in the initrd"
        yield parts.problem("install", "seed", message=message, hint=f"use {_in_words(_ways(parts, profile))}")


def _unread_seed(parts: Parts, delivery: SeedDelivery, profile: Profile) -> Iterator[Problem]:
    """A warning only: an ISO may have another kernel than its kin, and a template may say itself where the seed is."""
    machine: Machine | None = parts.get("machine")
    if profile.seed is None or machine is None or delivery is SeedDelivery.NONE:
        return
    ways = _ways(parts, profile)
    if delivery in ways:
        return
    if profile.direct is not None and profile.direct.seed_in_initrd is not None:
        ways.append(SeedDelivery.INITRD)
    known = delivery in profile.seed.reads
    where = f" on a machine of type {machine.type}" if known else ""
    hint = f"it does by {_in_words(ways)}" if ways else "see `seed.reads` of the profile"
    if known and profile.seed.cd_on:
        hint += f", and on a machine with `type: {profile.seed.cd_on[0]}`"
    message = f"the installer of '{profile.name}' does not find its seed by `{delivery}`{where}"
    yield parts.problem("install", "seed", message=message, hint=hint, severity="warning")


def _ways(parts: Parts, profile: Profile) -> list[SeedDelivery]:
    """Those that the installer can use on this machine, the initrd apart."""
    machine: Machine | None = parts.get("machine")
    kind = (machine or Machine()).type
    return list(profile.seed.ways(kind)) if profile.seed else [SeedDelivery.HTTP, SeedDelivery.CD]


def _in_words(ways: Iterable[SeedDelivery]) -> str:
    return " or ".join(f"`seed: {way}`" for way in ways)


def _seed(parts: Parts) -> Iterator[Problem]:
    draft = parts.draft
    directory, profile = draft.seed_directory, draft.profile
    install: Install | None = parts.get("install")
    if directory is None or (install and install.seed is SeedDelivery.NONE):
        return
    try:
        files = list(files_of(directory))
    except SeedError as error:
        yield Problem(error.message, Place(shown_name(directory)))
        return
    early = {"install": dict(install.seed_vars) if install else {}, **draft.scope.early}
    scope = type(draft.scope)(early, draft.scope.generated, draft.scope.declared, draft.scope.failed)
    verbatim = profile is not None and profile.seed is not None and profile.seed.verbatim
    for _, path in files:
        if path.suffix == ".j2" and not verbatim:
            yield from file_problems(path, scope)
    main = profile.seed.main if profile and profile.seed else ""
    if main and main not in served_names(draft, directory) and draft.profile_tree:
        node = draft.profile_tree.at("seed", "main") or draft.profile_tree
        message = f"there is no '{main}' in {shown_name(directory)}"
        yield node.problem(message, missing_main(main, directory))


INSTALL_RULES: tuple[Callable[[Parts], Iterator[Problem]], ...] = (_install, _seed)
