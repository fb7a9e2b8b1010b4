"""Making a virtual environment with uv: exactly the packages that are asked for, lin among them, and what is missing.

uv looks where the user's settings of it say, in its cache first, and never where the project says; no address is known
here. Distributions are put in without looking at their needs; only what takes the place of a recorded one brings along
what it needs.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from tempfile import TemporaryDirectory

from lin import version
from lin.errors import NotReproducibleError, OutsideError
from lin.records import Package
from lin.runs.source import Blobs, read_tree, restore_source

LIN = "lin-lineage"
"""The distribution that lin itself comes in."""
TOOLS = frozenset({"pip", "setuptools", "wheel", "uv"})
"""What installs others: results seldom depend on them, so one that differs is named, and asked for only by name."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_VERSION = re.compile(r"v?[0-9][0-9A-Za-z.!+_-]*")
NEUTRAL = Path("/")
"""Where uv is started: it takes settings and Pythons from the folders that it is in, and no project chooses these."""
_OWN_VARIABLES = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME", "UV_SYSTEM_PYTHON")
_LAUNCHER = """#!/bin/sh
'''exec' "$(dirname -- "$(realpath -- "$0")")"/'python' "$0" "$@"
' '''
import sys
from lin.cli.main import main
sys.exit(main())
"""


def find_uv() -> str:
    """The uv that came with lin. Raises `OutsideError` where there is none."""
    from uv import find_uv_bin

    try:
        return os.fsdecode(find_uv_bin())
    except FileNotFoundError as error:
        raise OutsideError("uv is not there, which makes environments anew", hint="pip install uv") from error


def ask_uv(uv: str, arguments: Sequence[str | Path], *, lines: Iterable[str] = (), **variables: str) -> str | None:
    """Run uv, with `lines` as its input; None where it did what it was asked, else why not, in its words."""
    own = {name: value for name, value in os.environ.items() if name not in _OWN_VARIABLES}
    try:
        answer = subprocess.run(
            [uv, *arguments],
            cwd=NEUTRAL,
            input="".join(f"{line}\n" for line in lines),
            capture_output=True,
            text=True,
            errors="replace",
            env=own | {"NO_COLOR": "1", "UV_NO_PROGRESS": "1", **variables},
            check=False,
        )
    except OSError as error:
        raise OutsideError(f"uv does not start: {error.strerror}", hint="try it yourself: uv --version") from error
    return None if answer.returncode == 0 else answer.stderr.strip() or f"exit code {answer.returncode}"


def specifier(package: Package) -> str:
    """`name==version`. Raises `NotReproducibleError` for what cannot be either: a record may come from anywhere."""
    if not (_NAME.fullmatch(package.name) and _VERSION.fullmatch(package.version)):
        raise NotReproducibleError(
            f"cannot be re-run: its environment names a package that none can be: {package.name!r} {package.version!r}"
        )
    return f"{package.name}=={package.version}"


# --- the packages -----------------------------------------------------------------------------------------------------


def make_venv(uv: str, base: Path, folder: Path) -> Path:
    """An empty environment at `folder`, which may be moved; returns the folder of its packages."""
    said = ask_uv(uv, ["venv", "--quiet", "--relocatable", "--no-project", "--python", base, folder])
    if said is not None:
        raise OutsideError(f"uv cannot make an environment of {base}: {_last(said)}")
    return next(folder.glob("lib/python3*/site-packages"))


def install(uv: str, python: Path, packages: Sequence[Package]) -> list[Package]:
    """Put these in as they are, without what they need; returns those that cannot be had, and then the others are in.

    Raises:
        NotReproducibleError: a name or version that cannot be one.
    """
    command = ["pip", "install", "--quiet", "--no-deps", "--python", str(python)]
    wanted = {specifier(package): package for package in packages}
    if not wanted or ask_uv(uv, [*command, "-r", "-"], lines=wanted) is None:
        return []
    return [wanted[name] for name in find_missing(uv, command, list(wanted))]


def find_missing(uv: str, command: Sequence[str | Path], wanted: list[str]) -> list[str]:
    """Which of `wanted` uv cannot get; it names one at a time. What its cache has is tried first, without network."""

    def search(names: list[str], *options: str, **variables: str) -> list[str]:
        if not names or ask_uv(uv, [*command, *options, "-r", "-"], lines=names, **variables) is None:
            return []
        if len(names) == 1:
            return names
        middle = len(names) // 2
        return search(names[:middle], *options, **variables) + search(names[middle:], *options, **variables)

    fetched = search(wanted, "--offline")
    # it was waited for the network before: now one look is enough
    return search(fetched, UV_HTTP_RETRIES="0", UV_HTTP_TIMEOUT="10")


def find_unobtainable(uv: str, base: Path, packages: Sequence[Package]) -> list[Package]:
    """Which of these uv could not put in, as far as it tells without doing it: off line, what its cache has not.

    Raises:
        NotReproducibleError: a name or version that cannot be one.
    """
    wanted = {specifier(package): package for package in packages}
    with TemporaryDirectory() as empty:
        command: list[str | Path] = [
            "pip",
            "install",
            "--dry-run",
            "--no-deps",
            "--python",
            base,
            "--target",
            Path(empty) / "none",
        ]
        return [wanted[name] for name in find_missing(uv, command, list(wanted))]


def install_with_needs(uv: str, python: Path, packages: Sequence[Package]) -> None:
    """Let these, which are in already, bring along what they need and what the others do not have fitting.

    Raises:
        NotReproducibleError: that cannot be had, or nothing fits.
    """
    wanted = [specifier(package) for package in packages]
    said = ask_uv(uv, ["pip", "install", "--quiet", "--python", python, "-r", "-"], lines=wanted)
    if said is not None:
        raise NotReproducibleError(
            f"cannot be re-run: what {', '.join(wanted)} needs cannot be had: {_last(said)}",
            hint=f"uv pip install --dry-run {' '.join(wanted)}",
        )


def reinstall(uv: str, python: Path, packages: Sequence[Package]) -> None:
    """Fetch these anew, past uv's cache, and share no file with it. Whether they came is for a check to say."""
    names = [option for package in packages for option in ("--refresh-package", package.name)]
    command = ["pip", "install", "--quiet", "--no-deps", "--reinstall", "--link-mode=copy", "--python", str(python)]
    ask_uv(uv, [*command, *names, "-r", "-"], lines=map(specifier, packages))


def missing_error(missing: Sequence[Package]) -> NotReproducibleError:
    """Names each package that cannot be had."""
    names = ", ".join(f"{package.name} {package.version}" for package in missing)
    first = specifier(missing[0])
    return NotReproducibleError(
        f"cannot be re-run: not to be had, neither from uv's cache nor from where it looks: {names}",
        hint=f"connect to the network, or let uv look elsewhere; it tells why: uv pip install --no-deps {first}",
    )


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("hint")]
    return lines[-1] if lines else said


# --- what does not come from a registry -------------------------------------------------------------------------------


def link_lin(folder: Path, site: Path) -> None:
    """Make the lin that runs now importable there, in the version that it has, and put its command beside Python's."""
    (site / "lin").symlink_to(own_folder(), target_is_directory=True)
    launcher = folder / "bin" / "lin"
    launcher.write_text(_LAUNCHER, encoding="utf-8")
    launcher.chmod(0o755)
    try:
        home = Path(str(distribution(LIN).locate_file("")))
    except PackageNotFoundError:
        return
    for info in home.glob(f"{LIN.replace('-', '_')}-*.dist-info"):
        shutil.copytree(info, site / info.name)


def own_folder() -> Path:
    """The folder of the package `lin` that runs now."""
    return Path(version.__file__).resolve().parent


def place_editable(folder: Path, final: Path, site: Path, package: Package, blobs: Blobs | None) -> None:
    """Make an editable package known, with the code that was recorded for it, where there is some.

    That of one inside the project comes with the project. `final` is where `folder` will lie.
    """
    specifier(package)
    place = Path("editable") / package.name
    if package.source is not None and blobs is not None:
        restore_source(read_tree(blobs, package.source), blobs, folder / place)
        link = os.path.relpath(import_folder(folder / place), site)
        (site / f"__editable__{package.name}.pth").write_text(f"{link}\n", encoding="utf-8")
    info = site / f"{package.name.replace('-', '_')}-{package.version}.dist-info"
    info.mkdir()
    notes: Mapping[str, str] = {
        "METADATA": f"Metadata-Version: 2.1\nName: {package.name}\nVersion: {package.version}\n",
        "direct_url.json": json.dumps({"url": (final / place).as_uri(), "dir_info": {"editable": True}}),
        "INSTALLER": "lin\n",
    }
    for name, text in notes.items():
        (info / name).write_text(text, encoding="utf-8")


def import_folder(code: Path) -> Path:
    """From where the packages in a folder of code are imported: its `src`, where it has one."""
    return code / "src" if (code / "src").is_dir() else code
