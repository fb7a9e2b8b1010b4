"""Recorded environments: the one at hand where it is right, else one made anew in a cache, and what is not as recorded.

Environments in the cache are keyed by what was asked for, made beside their place and moved there whole, and read file
for file each time before one is used: one in which a file is otherwise is moved aside and made anew.
"""

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lin.errors import LinError, NotReproducibleError, StoreError, UsageError
from lin.proof.environments.build import (
    LIN,
    TOOLS,
    find_unobtainable,
    find_uv,
    install,
    install_with_needs,
    link_lin,
    make_venv,
    missing_error,
    own_folder,
    place_editable,
    reinstall,
    specifier,
)
from lin.proof.environments.bytecode import copy_bytecode, share_bytecode
from lin.proof.environments.cache import environment_folder, is_kept, is_whole, locked, publish
from lin.proof.environments.installed import digest_files, untrue_files
from lin.proof.environments.interpreters import find_interpreter, is_interpreter
from lin.records import Environment, Package, digest, encode
from lin.runs import probe
from lin.runs.environment import capture_environment, capture_interpreter
from lin.runs.source import Blobs
from lin.version import __version__

PYTHON = "python"
"""Among packages: the interpreter itself."""

_SPECIFIER = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([0-9A-Za-z.!+_-]+)")


@dataclass(frozen=True)
class Prepared:
    """An interpreter with the packages that were asked for. `built`: it was made; else it is the one at hand.

    `drift` names what is not as it was asked for, a line each.
    """

    python: Path
    built: bool
    drift: list[str]


def quiet(_: str) -> None:
    """Report to nobody."""


def parse_with(specifiers: Sequence[str]) -> dict[str, str | None]:
    """Packages by normalised name (PEP 503), from `name==version` each.

    Raises:
        UsageError: one of them says something else, two differ about a package, or it is lin in another version.
    """
    packages: dict[str, str | None] = {}
    for text in specifiers:
        match = _SPECIFIER.fullmatch(text.strip())
        if match is None:
            raise UsageError(f"'{text}' is not a package with its version", hint="as in: --with scikit-learn==1.7.2")
        name = probe.normal_name(match[1])
        if packages.setdefault(name, match[2]) != match[2]:
            raise UsageError(f"{name} is asked for in two versions: {packages[name]} and {match[2]}")
    if packages.get(LIN, __version__) != __version__:
        raise UsageError(
            f"lin {__version__} cannot run as lin {packages[LIN]}: it does what is asked here, in whatever environment",
            hint=f"pip install {LIN}=={packages[LIN]}",
        )
    return packages


def prepare_environment(
    recorded: Environment,
    packages: Mapping[str, str | None],
    *,
    here: Path,
    blobs: Blobs | None = None,
    report: Callable[[str], None] = quiet,
) -> Prepared:
    """Find or make an interpreter with the packages of `recorded`, those in `packages` put in their place.

    `here` is used as it is where it fits: the same interpreter, and the same packages by version and, where both tell,
    by the digest of their files. Tools that install others (pip, setuptools, wheel, uv) count only where `packages`
    names them, and lin never: the one that runs takes its place. Its files are not read; those in the cache are.

    What `packages` asks for brings along what it needs, as uv resolves it today; which other packages that changed is
    reported, and drift. An editable package has the code that was recorded for it, read from `blobs`; one that lies
    inside the project is only named there, since its code comes with the project.

    Args:
        recorded: the environment of a run.
        packages: the versions to have instead, by normalised name; None for none at all. `python` is the interpreter.
        here: the interpreter at hand.
        blobs: where the code of editable packages is kept.
        report: is told what takes time.

    Raises:
        NotReproducibleError: the interpreter, or some of the packages, cannot be had; each is named.
        UsageError: the cache is inside a project. OutsideError: the disk or uv fails.
    """
    current = _capture(here)
    asked = _vary(recorded, packages)
    if _fits(asked, current, packages):
        return Prepared(here, built=False, drift=_drift(asked, current))
    uv = find_uv()
    overrides = _overrides(recorded, asked)
    folder = environment_folder(_key(asked, overrides))
    if not is_whole(folder, report):
        base = _require_interpreter(asked, here, uv)
        with locked(folder) as beside:
            if not is_whole(folder, report):
                order = _Order(asked, overrides, base, here, uv, blobs)
                publish(beside, folder, _make(order, beside, folder, report))
    return Prepared(folder / "bin" / "python", built=True, drift=_drift(asked, _found_in(folder, asked)))


def examine_environment(recorded: Environment, packages: Mapping[str, str | None], *, here: Path) -> list[str]:
    """What of an environment cannot be had here and now, a sentence each with what would mend it. Installs nothing.

    One that is in the cache can be had, though its files are only read when it is used.
    """
    asked = _vary(recorded, packages)
    if _fits(asked, _capture(here), packages):
        return []
    if is_kept(environment_folder(_key(asked, _overrides(recorded, asked)))):
        return []
    try:
        uv = find_uv()
        base = find_interpreter(asked, here, uv=uv)
        if base is None:
            return [f"{_interpreter(asked)} is not on this machine: uv python install {asked.python}"]
        missing = find_unobtainable(uv, base, [p for p in _from_registry(asked) if _counts(p, packages)])
    except LinError as error:
        return [error.message]
    names = map(specifier, missing)
    return [f"{name} is neither in uv's cache nor where it looks: uv pip install --no-deps {name}" for name in names]


def enter(python: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """`variables` for programs that are to run in the environment of `python`, found by name and compiled once."""
    own = {name: value for name, value in variables.items() if name not in {"PYTHONHOME", "PYTHONDONTWRITEBYTECODE"}}
    path = variables.get("PATH", os.defpath)
    return own | {"VIRTUAL_ENV": str(python.parent.parent), "PATH": f"{python.parent}{os.pathsep}{path}"}


class _Digests:
    """Blobs that are only named, never kept: to tell which code an editable package has."""

    def put(self, data: bytes) -> str:
        """The sha256 that the data would have."""
        return digest(data)

    def read(self, sha256: str) -> bytes:
        """Nothing is kept. Raises `StoreError`."""
        raise StoreError(f"{sha256} was not kept")

    def has(self, _sha256: str, _size: int) -> bool:
        """Nothing is kept."""
        return False


# --- what is asked for, and whether that is here ----------------------------------------------------------------------


def _capture(python: Path) -> Environment:
    blobs = _Digests()
    if python == Path(sys.executable):
        return capture_environment(blobs)
    return capture_interpreter(python, blobs)


def _vary(recorded: Environment, packages: Mapping[str, str | None]) -> Environment:
    """The recorded environment with `packages` in place of its own; what it has in that version stays as it is."""
    own = {package.name: package for package in recorded.packages}
    for name, version in packages.items():
        if name == PYTHON or (name in own and own[name].version == version):
            continue
        own.pop(name, None)
        if version is not None:
            own[name] = Package(name, version)
    asked = msgspec.structs.replace(recorded, packages=[own[name] for name in sorted(own)])
    python = packages.get(PYTHON)
    return asked if python in {None, recorded.python} else msgspec.structs.replace(asked, python=python, abi="")


def _overrides(recorded: Environment, asked: Environment) -> list[Package]:
    """What is asked for in place of what was recorded, or beside it."""
    versions = {package.name: package.version for package in recorded.packages}
    return [package for package in _from_registry(asked) if versions.get(package.name) != package.version]


def _from_registry(asked: Environment) -> list[Package]:
    return [package for package in asked.packages if not package.editable and package.name != LIN]


def _counts(package: Package, packages: Mapping[str, str | None]) -> bool:
    return package.name not in TOOLS or package.name in packages


def _fits(asked: Environment, current: Environment, packages: Mapping[str, str | None]) -> bool:
    old, new = (
        {p.name: p for p in environment.packages if _counts(p, packages) and p.name != LIN}
        for environment in (asked, current)
    )
    same = old.keys() == new.keys() and all(_is_same(package, new[name]) for name, package in old.items())
    return same and is_interpreter(asked, current)


def _is_same(old: Package, new: Package) -> bool:
    """Whether two packages of one name are the same as far as both tell."""
    if (old.version, old.editable) != (new.version, new.editable):
        return False
    return old.source in {None, new.source} and (old.record == new.record or not (old.record and new.record))


# --- what is not as it was asked for ----------------------------------------------------------------------------------


def _drift(asked: Environment, found: Environment) -> list[str]:
    lines = [
        f"{name} {old} -> {new}"
        for name in ("python", "abi", "system", "machine")
        if (old := getattr(asked, name)) not in {"", new := getattr(found, name)}
    ]
    old_packages, new_packages = ({p.name: p for p in environment.packages} for environment in (asked, found))
    for name in sorted(old_packages.keys() | new_packages.keys()):
        lines += _package_drift(name, old_packages.get(name), new_packages.get(name))
    return lines


def _package_drift(name: str, old: Package | None, new: Package | None) -> Iterator[str]:
    if old is None or new is None:
        yield f"{name}: only in the {'recorded environment' if new is None else 'environment of now'}"
    elif old.version != new.version:
        yield f"{name} {old.version} -> {new.version}"
    elif old.editable != new.editable and name != LIN:
        yield f"{name} {old.version}: editable only in the {'recorded environment' if old.editable else 'one of now'}"
    elif old.record and new.record and old.record != new.record:
        yield f"{name} {old.version}: other files under the same version"
    elif old.source not in {None, new.source}:
        yield f"{name} {old.version}: other code in its folder, for what was recorded is not at hand"


# --- making one -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Order:
    """What an environment is to be: `asked` with `overrides` among its packages, of the interpreter `base`.

    `here` is the one at hand, which may have compiled files.
    """

    asked: Environment
    overrides: list[Package]
    base: Path
    here: Path
    uv: str
    blobs: Blobs | None


def _key(asked: Environment, overrides: list[Package]) -> str:
    """What an environment is kept under: all that decides what is in it."""
    facts = [
        [asked.python, asked.implementation, asked.abi, os.uname().sysname, os.uname().machine],
        [[p.name, p.version, p.record, p.editable, p.source] for p in asked.packages],
        [package.name for package in overrides],
        [str(own_folder()), __version__] if _has_lin(asked) else [],
    ]
    return digest(encode(facts))[:32]


def _has_lin(asked: Environment) -> bool:
    return any(package.name == LIN for package in asked.packages)


def _interpreter(asked: Environment) -> str:
    return f"{asked.implementation} {asked.python}" + (f" ({asked.abi})" if asked.abi else "")


def _require_interpreter(asked: Environment, here: Path, uv: str) -> Path:
    base = find_interpreter(asked, here, uv=uv)
    if base is None:
        raise NotReproducibleError(
            f"cannot be re-run: its interpreter {_interpreter(asked)} is not on this machine",
            hint=f"uv python install {asked.python}",
        )
    return base


def _make(order: _Order, beside: Path, final: Path, report: Callable[[str], None]) -> dict[str, str]:
    """Make the environment in the folder `beside`, as it will lie in `final`; returns the digests of its files."""
    own = _from_registry(order.asked)
    report(f"making an environment of {_interpreter(order.asked)} with {len(own)} packages")
    site = make_venv(order.uv, order.base, beside)
    python = beside / "bin" / "python"
    missing = install(order.uv, python, own)
    if wanted := [package for package in missing if package.name not in TOOLS or package in order.overrides]:
        raise missing_error(wanted)
    if order.overrides:
        install_with_needs(order.uv, python, order.overrides)
        _report_changes(own, site, report)
    for package in order.asked.packages:
        if package.editable and package.name != LIN:
            place_editable(beside, final, site, package, order.blobs)
    if _has_lin(order.asked):
        link_lin(beside, site)
    files = _check_files(order.uv, beside, site, report)
    share_bytecode(beside, final.parent)
    copy_bytecode(beside, site, files, order.here.parent.parent)
    return files


def _report_changes(own: list[Package], site: Path, report: Callable[[str], None]) -> None:
    """Say which other packages those that were asked for brought along."""
    before = {package.name: package.version for package in own}
    for name, version in ((p.name, p.version) for p in packages_in(site)):
        if before.get(name) != version:
            report(
                f"{name} {before[name]} -> {version}, as they need it"
                if name in before
                else f"{name} {version} came along"
            )


def _check_files(uv: str, root: Path, site: Path, report: Callable[[str], None]) -> dict[str, str]:
    """Hold every file against its RECORD; what is untrue is fetched anew, once. Returns the digests of all files.

    Raises:
        NotReproducibleError: it stays so.
    """
    files = digest_files(root)
    untrue = untrue_files(root, site, files)
    untrue.pop(LIN, None)  # it is behind a link, and no part of what is made anew
    if untrue:
        report(f"altered in uv's cache, and fetched anew: {', '.join(untrue)}")
        reinstall(uv, root / "bin" / "python", [package for package in packages_in(site) if package.name in untrue])
        files = digest_files(root)
        untrue = {name: paths for name, paths in untrue_files(root, site, files).items() if name != LIN}
    if untrue:
        name, paths = next(iter(untrue.items()))
        raise NotReproducibleError(
            f"cannot be re-run: {name}: file {paths[0]} was altered in uv's cache, and it cannot be had anew",
            hint=f"uv cache clean {' '.join(untrue)}",
        )
    return files


def packages_in(site: Path) -> list[Package]:
    """The distributions in a folder of packages."""
    return msgspec.convert(probe.installed([str(site)]), list[Package])


def _found_in(folder: Path, asked: Environment) -> Environment:
    """What is in an environment that was made for `asked`, by its own metadata."""
    (site,) = folder.glob("lib/python3*/site-packages")
    recorded = {package.name: package.source for package in asked.packages}
    laid_out = {path.name for path in (folder / "editable").glob("*")}
    packages = [
        msgspec.structs.replace(package, source=recorded[package.name]) if package.name in laid_out else package
        for package in packages_in(site)
    ]
    return msgspec.structs.replace(asked, packages=packages)
