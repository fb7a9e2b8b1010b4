"""A project: the folder with `lineage.toml`, what it declares, and the store. Finding, making and extending it.

In a re-run the project lies in a scratch folder that stands for the root of the file system: each path there stands
for the one that is left without the folder in front, and records name that one.
"""

import fcntl
import getpass
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import msgspec

from lin.config import (
    FILE_NAME,
    Config,
    ProjectSetting,
    SecuritySetting,
    TableSetting,
    check_name,
    parse_config,
    read_config,
    read_text,
)
from lin.errors import ConflictError, NotFoundError, UsageError, refused
from lin.store.failpoints import os
from lin.store.signatures import Notary, Signers, parse_vouched
from lin.store.store import Store, create_store, local_backend, open_store
from lin.store.whole import write_whole

KEY_VARIABLE = "LIN_SIGNING_KEY"
"""Names the ssh key that signs: its file, or a public key that an agent has the private one of."""

SCRATCH_VARIABLE = "LIN_SCRATCH"
"""Names the scratch folder to the processes of a re-run."""

_GIT_SECONDS = 5
LONGEST_PATH = 4000
LONGEST_NAME = 255
"""In bytes, what Linux takes, with some room for what lies below."""

STARTER = """
# A table: `lin add housing housing.csv --key ID` writes this.
# [tables.housing]
# path = "data/housing"
# key = ["ID"]

# An experiment of the built-in trainer; a list of values is a grid. Every setting: lineage.toml.example
# [experiments.housing]
# table = "housing"
# target = "medv"
# rows = "medv is not null"
# split = { test_size = 0.2, seed = 1 }
#
# [[experiments.housing.models]]
# estimator = "sklearn.linear_model.Ridge"
# params = { alpha = [1.0, 0.1, 0.01] }
"""


@dataclass(frozen=True)
class Project:
    """An opened project. Paths in records are relative to `store_root`; those in `lineage.toml` to `root`.

    `scratch` is the folder that stands for the root of the file system, where this is the project of a re-run.
    """

    root: Path
    config: Config
    store: Store
    store_root: Path
    actor: str
    scratch: Path | None = None

    @cached_property
    def email(self) -> str | None:
        """What git calls who acts, where it is asked in the project's folder: only a signature ties it to anybody."""
        return _ask_git(self.root, "user.email")

    @property
    def folders_of_data(self) -> list[str]:
        """The store and the tables below the project, relative to it: what is not source."""
        places = [self.store_root, *(self.root / table.path for table in self.config.tables.values())]
        root = self.root.resolve()
        inside = [place.resolve() for place in places if place.resolve().is_relative_to(root)]
        return sorted(place.relative_to(root).as_posix() for place in inside)

    def locate(self, path: Path) -> str:
        """`path` as records hold it: relative to the store, and what it stands for in a re-run."""
        place = path.resolve()
        if self.scratch is not None and place.is_relative_to(self.scratch):
            place = "/" / place.relative_to(self.scratch)
        return Path(os.path.relpath(place, self.store_root.resolve())).as_posix()


def _read(path: Path) -> Config:
    try:
        return read_config(path)
    except OSError as error:
        raise refused(f"cannot read {path}", error) from error


def find_root(start: Path) -> Path | None:
    """The nearest folder at or above `start` that has a `lineage.toml`."""
    return next((folder for folder in (start, *start.parents) if (folder / FILE_NAME).is_file()), None)


def open_project(start: Path, *, store: str | None = None) -> Project:
    """Open the project that `start` lies in. `store` is used instead of the declared one.

    In a process of a re-run, told by `LIN_SCRATCH`, tables that are declared by absolute paths are those of the scratch
    folder.

    Raises:
        NotFoundError: no project, or no store. UsageError: `lineage.toml` is wrong. StoreError: damaged or newer.
    """
    start = start.resolve()
    root = find_root(start)
    if root is None and store is None:
        raise NotFoundError(f"there is no {FILE_NAME} in {start} or above it", hint="lin init")
    config = _read(root / FILE_NAME) if root else Config(project=ProjectSetting(name=start.name))
    for what, path in (("store", store or config.project.store), *((n, t.path) for n, t in config.tables.items())):
        _check_path(what, path)
    backend = local_backend(store, start) if store else local_backend(config.project.store, root or start)
    project = Project(
        root=root or start,
        config=config,
        store=open_store(backend, partial(make_notary, root or start, config.security)),
        store_root=backend.root,
        actor=current_actor(),
    )
    scratch = os.environ.get(SCRATCH_VARIABLE)
    return in_scratch(project, Path(scratch)) if scratch and project.root.is_relative_to(scratch) else project


def _check_path(what: str, path: str) -> None:
    """Refuse what no file system takes for a path. Raises `UsageError`."""
    too_long = len(os.fsencode(path)) > LONGEST_PATH or any(
        len(os.fsencode(part)) > LONGEST_NAME for part in path.split("/")
    )
    if not path or "\0" in path or too_long:
        raise UsageError(
            f"{path[:80]!r} is no path for '{what}'" + (f": it has {len(path)} characters" if too_long else ""),
            hint=f"change it in {FILE_NAME}",
        )


def in_scratch(project: Project, scratch: Path) -> Project:
    """The project as that of a re-run: it lies below `scratch`, and so do all the tables that it declares."""
    tables = {name: _moved(setting, project.root, scratch) for name, setting in project.config.tables.items()}
    return replace(project, config=msgspec.structs.replace(project.config, tables=tables), scratch=scratch)


def _moved(table: TableSetting, root: Path, scratch: Path) -> TableSetting:
    """The setting with a path that stays below `scratch`: one too many `..` lead to the root here as they do there."""
    if not table.path.startswith("/") and Path(os.path.normpath(root / table.path)).is_relative_to(scratch):
        return table
    meant = os.path.normpath("/" / root.relative_to(scratch) / table.path)
    return msgspec.structs.replace(table, path=f"{scratch}{meant}")


def create_project(folder: Path, *, name: str | None = None, store: str | None = None) -> tuple[Project, bool]:
    """Write `lineage.toml` and the store in `folder` where they are missing; tells whether anything was.

    Raises:
        UsageError: an existing `lineage.toml` is wrong. ConflictError: it has another name.
        OutsideError: the folder cannot be written.
    """
    path = folder / FILE_NAME
    fresh = not path.exists()
    if fresh:
        setting = {"project": {"name": check_name(name or _tame(folder.resolve().name), "a project")}}
        setting["project"]["store"] = store or ".lin"
        _write(path, _toml(setting) + STARTER, replace=False)
    config = _read(path)
    if name not in {None, config.project.name}:
        raise ConflictError(
            f"{FILE_NAME} here names the project '{config.project.name}', not '{name}'", hint="change the name there"
        )
    backend = local_backend(store or config.project.store, folder)
    fresh = fresh or backend.size("store.json") is None
    create_store(backend)
    ignore = backend.root / ".gitignore"
    if not ignore.exists():
        _write(ignore, "# what lin keeps does not belong into git\n*\n", replace=False, mode=0o600)
    return open_project(folder, store=store), fresh


def declare_table(project: Project, name: str, setting: TableSetting) -> Project:
    """Add `[tables.NAME]` at the end of `lineage.toml`, leaving the rest of the file as it is.

    What other processes declared meanwhile stays: one at a time reads the file and writes it.

    Raises:
        ConflictError: the file declares that table otherwise.
    """
    if project.config.tables.get(check_name(name, "a table")) == setting:
        return project
    path = project.root / FILE_NAME
    with _declaring(project.root):
        text = read_text(path) if path.exists() else _toml({"project": {"name": project.config.project.name}})
        declared = _configured(project, parse_config(text)).config.tables.get(name)
        if declared is not None and declared != setting:
            raise ConflictError(
                f"{FILE_NAME} declares table '{name}' otherwise: path = '{declared.path}', key = {declared.key}",
                hint=f"change [tables.{name}] there, or leave out the option",
            )
        if declared is None:
            section = {"path": setting.path} | {k: v for k in ("key", "order") if (v := getattr(setting, k))}
            text = text.rstrip("\n") + "\n\n" + _toml({"tables": {name: section}})
            parse_config(text)  # before it is written: an inline `tables = {…}` cannot be extended
            _write(path, text, replace=True)
    return _configured(project, parse_config(text))


@contextmanager
def _declaring(folder: Path) -> Iterator[None]:
    """Keep other processes from declaring, where folders can be locked; the lock goes with the process."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # NFS, say: there one at a time has to declare
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _configured(project: Project, config: Config) -> Project:
    """The project with what `lineage.toml` says now."""
    now = replace(project, config=config)
    return now if project.scratch is None else in_scratch(now, project.scratch)


def current_actor() -> str:
    """Who acts: `LIN_ACTOR`, else the login name."""
    try:
        return os.environ.get("LIN_ACTOR") or getpass.getuser()
    except (KeyError, OSError):  # a container's uid without a name
        return f"uid {os.getuid()}"


def signing_key(root: Path) -> str:
    """The ssh key that signs: `LIN_SIGNING_KEY`, else git's `user.signingkey`. Raises `UsageError`."""
    key = os.environ.get(KEY_VARIABLE) or _ask_git(root, "user.signingkey")
    if key is None:
        raise UsageError("there is no key to sign with", hint="git config --global user.signingkey ~/.ssh/id_ed25519")
    return os.path.expanduser(key)


def cache_folder(name: str) -> Path | None:
    """Where what is derived lies: in `$LIN_CACHE`, else in `lin` in `$XDG_CACHE_HOME` or `~/.cache`, if any is."""
    places = ((os.environ.get("LIN_CACHE"), "."), (os.environ.get("XDG_CACHE_HOME"), "lin"))
    for base, rest in (*places, (os.environ.get("HOME"), ".cache/lin")):
        if base is not None and base.startswith("/"):
            return Path(base, rest, name)
    return None


def make_notary(root: Path, setting: SecuritySetting, store: str, *, remembers: bool = True) -> Notary:
    """Who signs and checks the events of the store with that id, as `[security]` says.

    Unless it `remembers`, each signature is looked at, also those that were good before. Raises `UsageError`.
    """
    signers = None
    if setting.signers is not None:
        memory = cache_folder("signatures") if remembers else None
        signers = partial(Signers, root / setting.signers, store, memory=memory)
    vouched = parse_vouched(setting.trusted) if setting.trusted else None
    return Notary(store, key=partial(signing_key, root), always=setting.sign, signers=signers, vouched=vouched)


def _ask_git(root: Path, name: str) -> str | None:
    """What git has for that setting in the project's folder."""
    import subprocess

    words = ["git", "config", "--get", name]
    try:
        asked = subprocess.run(
            words,
            cwd=root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,  # a setting may include a pipe
            check=False,
        )
    except (OSError, UnicodeDecodeError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.strip() or None


def _tame(name: str) -> str:
    tame = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in name).lstrip("._-")
    return tame[:128] or "project"


def _toml(values: Mapping[str, Any]) -> str:
    import tomli_w

    return tomli_w.dumps(values)


def _write(path: Path, text: str, *, replace: bool, mode: int = 0o666) -> None:
    """Write a small file whole: a crash leaves the old content or the new."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode(), replace=replace, mode=mode)
    except FileExistsError as error:
        raise ConflictError(f"{path} was written by another process just now") from error
    except OSError as error:
        raise refused(f"cannot write {path}", error) from error
