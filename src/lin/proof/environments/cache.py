"""Where environments are kept: made beside their place, moved there whole, and read file for file before they are used.

A list of all files, with their digests, lies in each; a folder without is no environment. Who makes one holds a lock
on its place, which goes with the process, however that dies; the next one sweeps up what it left.
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lin.errors import OutsideError, StoreError, UsageError
from lin.ids import new_id
from lin.proof.environments.installed import diff_files, digest_files
from lin.records import Record, decode, encode
from lin.store.local import make_private

_INVENTORY = "inventory.json"
_TAKEN = {errno.EEXIST, errno.ENOTEMPTY}


class _Inventory(Record, frozen=True, tag_field="format", tag="inventory/1"):
    """What an environment held when it was made: a digest by path."""

    files: dict[str, str]


def cache_folder() -> Path:
    """Where environments are kept: `$LIN_CACHE`, else `lin` in `$XDG_CACHE_HOME`, else in `~/.cache`.

    Raises:
        UsageError: that is not absolute, or inside a project, whose source they would become part of.
    """
    named = os.environ.get("LIN_CACHE")
    base = os.environ.get("XDG_CACHE_HOME", "")
    folder = Path(named) if named else (Path(base) if base.startswith("/") else Path.home() / ".cache") / "lin"
    if not folder.is_absolute():
        raise UsageError(f"LIN_CACHE is not an absolute path: {folder}", hint="name a folder outside of any project")
    project = next((above for above in folder.parents if (above / "lineage.toml").exists()), None)
    if project is not None:
        raise UsageError(
            f"the cache {folder} is inside the project {project}", hint="LIN_CACHE=/a/folder/elsewhere says where else"
        )
    return folder


def environment_folder(key: str) -> Path:
    """Where the environment of that key is kept. Raises `UsageError` as `cache_folder`."""
    return cache_folder() / "environments" / key


def is_kept(folder: Path) -> bool:
    """Whether there is an environment. It may not be whole."""
    return (folder / _INVENTORY).is_file()


def is_whole(folder: Path, report: Callable[[str], None]) -> bool:
    """Whether there is an environment and every file of it is as when it was made. One that is not is moved aside.

    Raises:
        OutsideError: it cannot be read, or not be moved.
    """
    try:
        made = decode((folder / _INVENTORY).read_bytes(), _Inventory, where=f"{folder}/{_INVENTORY}").files
    except FileNotFoundError:
        return False
    except StoreError:
        made = {}
    found = digest_files(folder)
    found.pop(_INVENTORY)
    changes = diff_files(made, found)
    if not changes:
        return True
    report(f"the environment {folder.name} is made anew: {changes[0]}" + (" and others" if changes[1:] else ""))
    aside = folder.with_name(f"{folder.name}.altered")
    shutil.rmtree(aside, ignore_errors=True)
    with suppress(FileNotFoundError):  # another process saw it too, and was first
        _move(folder, aside)
    return False


@contextmanager
def locked(folder: Path) -> Iterator[Path]:
    """Be the only one that makes the environment at `folder`; gives a free folder beside it, which goes afterwards.

    Where the file system has no locks, who is last loses its work and uses that of the first.

    Raises:
        OutsideError: the disk refuses.
    """
    beside = folder.with_name(f".making-{folder.name}-{new_id()}")
    try:
        make_private(folder.parent)
        lock = os.open(
            folder.with_name(f"{folder.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
    except OSError as error:
        raise OutsideError(f"cannot make an environment in {folder.parent}: {error.strerror}") from error
    try:
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in folder.parent.glob(f".making-{folder.name}-*"):
                shutil.rmtree(left, ignore_errors=True)
        yield beside
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        os.close(lock)


def publish(beside: Path, folder: Path, files: dict[str, str]) -> None:
    """Put what was made in its place, with the digests of its files; where another did meanwhile, that one stays.

    Raises:
        OutsideError: the disk refuses.
    """
    try:
        (beside / _INVENTORY).write_bytes(encode(_Inventory(files=files)))
    except OSError as error:
        raise OutsideError(f"cannot write {beside}: {error.strerror}") from error
    try:
        beside.rename(folder)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise OutsideError(f"cannot put an environment into {folder}: {error.strerror}") from error


def _move(folder: Path, aside: Path) -> None:
    try:
        folder.rename(aside)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise OutsideError(f"cannot move {folder} aside: {error.strerror}") from error
