"""Finding a Python of an exact version, implementation and ABI on this machine. Nothing is downloaded.

A candidate is believed only for what it says of itself: names and shims promise what is not there.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec

from lin.proof.environments.build import NEUTRAL
from lin.records import Environment

_SECONDS = 20
_VERSION = re.compile(r"\d+\.\d+[\w.+]*")
_OTHERS = frozenset({"pypy", "graalpy"})
_ASK = (
    "import json, os, sys, sysconfig; u = os.uname(); print(json.dumps(dict("
    "python=sys.version.split()[0], implementation=sys.implementation.name, "
    "abi=str(sysconfig.get_config_var('SOABI') or sys.implementation.cache_tag), system=u.sysname, "
    "machine=u.machine, base=getattr(sys, '_base_executable', None) or sys.executable)))"
)


class _Interpreter(msgspec.Struct, frozen=True):
    """What an interpreter says of itself."""

    python: str
    implementation: str
    abi: str
    system: str
    machine: str
    base: str


def find_interpreter(asked: Environment, here: Path, *, uv: str) -> Path | None:
    """The base interpreter that `asked` ran on, where this machine has it: that of `here`, of uv, of PATH.

    An empty `asked.abi` asks for none. That of another system or machine cannot be here and is not compared.
    """
    if not _VERSION.fullmatch(asked.python):
        return None
    bases: set[str] = set()
    for candidate in _candidates(asked, here, uv):
        found = _ask(candidate) if candidate not in bases else None
        if found is None or found.base in bases:
            continue
        bases.add(found.base)
        if is_interpreter(asked, found):
            return Path(found.base)
    return None


def is_interpreter(asked: Environment, found: "Environment | _Interpreter") -> bool:
    """Whether `found` is the interpreter that `asked` names."""
    same_abi = asked.abi in {"", found.abi} or (asked.system, asked.machine) != (found.system, found.machine)
    return same_abi and (asked.python, asked.implementation) == (found.python, found.implementation)


def _candidates(asked: Environment, here: Path, uv: str) -> Iterator[str]:
    minor = ".".join(asked.python.split(".")[:2])
    yield str(here)
    if asked.implementation in _OTHERS:
        yield from filter(None, (shutil.which(f"{asked.implementation}{minor}"), shutil.which(asked.implementation)))
    base = _ask(str(here))
    if base is not None and len(Path(base.base).parents) > 2:  # noqa: PLR2004  versions/3.11.7/bin/python3.11
        # version managers lay them out side by side
        yield from map(str, sorted(Path(base.base).parents[2].glob(f"{asked.python}*/bin/python{minor}")))
        yield from map(str, sorted(Path(base.base).parents[2].glob(f"*-{asked.python}-*/bin/python{minor}")))
    yield from _answer([uv, "python", "find", "--no-project", "--no-python-downloads", asked.python]).splitlines()[-1:]
    for folder in os.get_exec_path():
        for name in (f"python{minor}", "python3", "python"):
            if shutil.which(name, path=folder):
                yield str(Path(folder) / name)
    listed = _answer([uv, "python", "list", "--only-installed", "--all-versions", "--output-format", "json"])
    yield from _paths(listed)


def _paths(listed: str) -> list[str]:
    try:
        entries = msgspec.json.decode(listed or "[]", type=list[dict[str, object]])
    except msgspec.MsgspecError:
        return []
    return [path for entry in entries if isinstance(path := entry.get("path"), str)]


def _ask(python: str) -> _Interpreter | None:
    """What it says of itself; None where it does not start or is none."""
    answer = _answer([python, "-I", "-S", "-c", _ASK])
    try:
        return msgspec.json.decode(answer.encode(), type=_Interpreter)
    except (msgspec.MsgspecError, UnicodeError):
        return None


def _answer(command: list[str]) -> str:
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False,
            stdin=subprocess.DEVNULL, cwd=NEUTRAL,
        )  # fmt: skip
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout if answer.returncode == 0 else ""
