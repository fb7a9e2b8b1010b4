"""What code ran on: interpreter, packages, BLAS, threads, CPU features; of this process or another one.

Equal environments encode to equal bytes, wherever they are installed: no path, address or time is in them.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.resources import files
from itertools import chain
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from lin.errors import OutsideError
from lin.records import Blas, Environment, Package
from lin.runs import probe
from lin.runs.source import Blobs, capture_source

_LIN = "lin-lineage"
_SECONDS = 60
# the folder of the caller must not stand in for the standard library, nor count as installed
_RUN_STDIN = "import sys; sys.path = [p for p in sys.path if p]; exec(compile(sys.stdin.read(), 'probe', 'exec'))"


def capture_environment(blobs: Blobs | None = None, root: Path | None = None) -> Environment:
    """The environment of this process.

    BLAS and threads are those loaded now: capture once numpy is imported where they matter. With `blobs`, the code of
    editable packages is kept there, but for that of lin itself, which takes no part in results, and that of packages
    that lie inside the project at `root`, which is in the project's own snapshot.
    """
    environment = msgspec.convert(probe.collect(), Environment)
    editable = any(package.editable and package.name != _LIN for package in environment.packages)
    if blobs is None or not editable:
        return environment
    return _keep_sources(environment, probe.editable_folders(sys.path), blobs, root)


def capture_interpreter(python: Path, blobs: Blobs | None = None, root: Path | None = None) -> Environment:
    """The environment of another interpreter (3.9 or newer), which needs neither lin nor msgspec.

    It is asked in a fresh process, so no BLAS is loaded in it and `blas` is empty. `blobs` and `root` are as for
    `capture_environment`.

    Raises:
        OutsideError: it does not start, fails, or does not answer within a minute.
    """
    code = files("lin.runs").joinpath("probe.py").read_text(encoding="utf-8")
    try:
        answer = subprocess.run(
            [python, "-c", _RUN_STDIN],
            input=code.encode(),
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _cannot_ask(python, str(error)) from error
    if answer.returncode != 0:
        last = answer.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise _cannot_ask(python, last or f"it ended with {answer.returncode}")
    try:
        # start-up files of that interpreter may print: the answer is the last line
        line = answer.stdout.rstrip().rpartition(b"\n")[2]
        environment, folders = msgspec.json.decode(line, type=tuple[Environment, dict[str, str]])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _cannot_ask(python, f"its answer is not an environment: {error}") from error
    return environment if blobs is None else _keep_sources(environment, folders, blobs, root)


def _cannot_ask(python: Path, why: str) -> OutsideError:
    return OutsideError(
        f"the interpreter {python} does not tell its environment: {why}",
        hint=f"try it yourself: {python} --version",
    )


def _keep_sources(
    environment: Environment, addresses: Mapping[str, str], blobs: Blobs, root: Path | None
) -> Environment:
    """The environment with the code of its editable packages, each in a snapshot of its own."""
    packages = []
    for package in environment.packages:
        address = addresses.get(package.name, "") if package.editable and package.name != _LIN else ""
        folder = _folder_of(address)
        source = None if folder is None else _keep_source(folder, blobs, root)
        packages.append(msgspec.structs.replace(package, source=source))
    return msgspec.structs.replace(environment, packages=packages)


def _folder_of(address: str) -> Path | None:
    parts = urlsplit(address)
    folder = Path(unquote(parts.path))
    return folder if parts.scheme == "file" and parts.path and folder.is_dir() else None


def _keep_source(folder: Path, blobs: Blobs, root: Path | None) -> str | None:
    """The snapshot of a folder of code without the project, where that is inside; None where it is inside that."""
    folder, root = folder.resolve(), root and root.resolve()
    if root is not None and folder.is_relative_to(root):
        return None
    inside = root is not None and root.is_relative_to(folder)
    exclude = [root.relative_to(folder).as_posix()] if inside and root is not None else []
    return capture_source(folder, blobs, exclude=exclude).tree


# --- comparing --------------------------------------------------------------------------------------------


def diff_environments(a: Environment, b: Environment) -> list[str]:
    """What differs from `a` to `b`, one readable line each; empty when nothing that both tell differs.

    BLAS libraries are compared only where both have some, CPU features likewise: none means not known.
    """
    return list(
        chain(
            _changes(_interpreter(a), _interpreter(b)),
            _package_changes(a.packages, b.packages),
            _blas_changes(a.blas, b.blas) if a.blas and b.blas else (),
            _changes(a.variables, b.variables),
            _feature_changes(a.cpu_features, b.cpu_features) if a.cpu_features and b.cpu_features else (),
        )
    )


def _interpreter(environment: Environment) -> dict[str, str]:
    names = ("python", "implementation", "abi", "system", "machine")
    return {name: getattr(environment, name) for name in names}


def _changes(a: dict[str, str], b: dict[str, str]) -> Iterator[str]:
    names = [*a, *sorted(b.keys() - a.keys())]
    return (f"{n} {a.get(n, 'unset')} -> {b.get(n, 'unset')}" for n in names if a.get(n) != b.get(n))


def _package_changes(a: list[Package], b: list[Package]) -> Iterator[str]:
    first, second = {p.name: p for p in a}, {p.name: p for p in b}
    for name in sorted(first.keys() | second.keys()):
        old, new = first.get(name), second.get(name)
        if old is None or new is None:
            yield f"{name}: only in the {_which(old is not None)}"
        elif old.version != new.version:
            yield f"{name} {old.version} -> {new.version}"
        elif old.editable != new.editable:
            yield f"{name} {old.version}: editable only in the {_which(old.editable)}"
        elif old.record and new.record and old.record != new.record:
            yield f"{name} {old.version}: other files under the same version"


def _blas_changes(a: list[Blas], b: list[Blas]) -> Iterator[str]:
    for library in sorted({blas.library for blas in (*a, *b)}):
        old, new = ([blas for blas in side if blas.library == library] for side in (a, b))
        if not old or not new:
            yield f"{library}: loaded only in the {_which(bool(old))}"
            continue
        yield from _changes({library: _each(old, "version")}, {library: _each(new, "version")})
        for what in ("threads", "kernel"):
            label = f"{what} of {library}"
            yield from _changes({label: _each(old, what)}, {label: _each(new, what)})


def _each(libraries: list[Blas], what: str) -> str:
    return ", ".join(sorted({str(getattr(blas, what) or "unknown") for blas in libraries}))


def _feature_changes(a: list[str], b: list[str]) -> Iterator[str]:
    return (f"CPU feature {name}: only in the {_which(name in a)}" for name in sorted({*a} ^ {*b}))


def _which(first: bool) -> str:
    return "first" if first else "second"
