"""The project's files as they were when a run began: snapshot, restore, compare, and git's view of them.

A snapshot depends on paths, contents and executable bits alone, so the same content has the same digest
anywhere. Git is asked what belongs to the project; nothing that a repository configures is ever executed.
"""

import os
import re
import stat
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Protocol

import msgspec

from lin.errors import ConflictError, NotFoundError, OutsideError, StoreError, is_out_of_threads
from lin.records import Git, LeftOut, Source, SourceFile, SourceTree, decode, digest, encode
from lin.runs.redact import redact_text
from lin.store.whole import UNFINISHED

MIB = 1 << 20

_WRITERS = 8
_MOST_AT_ONCE = 32 * MIB
"""Contents are gathered up to so many bytes before they are put on disk."""

_GIT_SECONDS = 60
_GIT = ("git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
_GIT_VARIABLES = {  # where to look and which of the user's settings hold; none names a repository
    "GIT_CEILING_DIRECTORIES",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
}
_GIT_QUIET = {"GIT_OPTIONAL_LOCKS": "0", "GIT_ALLOW_PROTOCOL": "", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
_DERIVED = ("__pycache__", "node_modules")
_SECRETS = (
    *(".env", ".env.*", "*.env", ".envrc", "*.tfvars", "secrets.toml", "secrets.y*ml", "secrets.json"),
    *(".netrc", "_netrc", ".pgpass", ".my.cnf", ".pypirc", ".npmrc", ".htpasswd", ".git-credentials", ".vault-token"),
    *(".boto", ".s3cfg", ".databrickscfg", "kaggle.json", "kubeconfig", "credentials.json", "client_secret*.json"),
    *("service[_-]account*.json", "application_default_credentials.json"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.ppk", "*.jks", "*.keystore", "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"),
)
_SECRET_PLACES = ("*.ssh/*", "*.gnupg/*", "*.aws/credentials", "*.docker/config.json", "*.kube/config")
_EXAMPLES = (".env.example", ".env.sample", ".env.template")
_ADDRESS = re.compile(r"(https?|ssh|git|git\+ssh|ssh\+git|ftps?)://(?:[^/?#]*@)?([^/?#@]+)([^?#]*)", re.DOTALL)
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::[0-9]*)?")
_SCP_ADDRESS = re.compile(r"(?:[^/]*@)?([^/:@]+:[^/?#][^?#]*|[^/:@]+:/[^?#]+)", re.DOTALL)


class Blobs(Protocol):
    """Content by its sha256. `read` answers verified content only."""

    def put(self, data: bytes) -> str:
        """Keep `data`; returns its sha256."""

    def read(self, sha256: str) -> bytes:
        """The content of that sha256."""

    def has(self, sha256: str, size: int) -> bool:
        """Whether content of that size is kept, and whole."""


class SourceDiff(msgspec.Struct, frozen=True, kw_only=True):
    """The paths that differ between two snapshots, sorted.

    `unknown` are those that could not be compared: a snapshot left them out, and their size is the same.
    """

    added: list[str]
    removed: list[str]
    changed: list[str]
    unknown: list[str]


# --- taking a snapshot ------------------------------------------------------------------------------------


def capture_source(
    root: Path,
    blobs: Blobs,
    *,
    exclude: Sequence[str] = (),
    largest_file: int = 10 * MIB,
    largest_total: int = 200 * MIB,
) -> Source:
    """Keep the files below `root` in `blobs`, and say where they stand in git.

    In a git work tree: what git tracks, as it is on disk now, and what it does not ignore. Elsewhere,
    or if git is missing, fails, or ignores all of `root`: every file that is in no hidden folder.
    Compiled files, virtual environments, what a killed lin left half written and `exclude` (POSIX paths
    relative to `root`) never belong to it. What is no regular file, is larger than the caps (in bytes),
    cannot be read or is named like a secret is listed as left out, with the reason. A link is never
    followed; a submodule is left out whole.

    Raises:
        NotFoundError: `root` is not a folder.
    """
    if not root.is_dir():
        raise NotFoundError(f"{root} is not a folder")
    data = _below(exclude)
    repository = _ask_git(root, data)
    paths = repository.paths if repository else _walk(root, data)
    wanted = {path for path in paths if not path.rpartition("/")[2].startswith(UNFINISHED)}
    tree = _snapshot(root, sorted(wanted), blobs, largest_file, largest_total)
    return Source(tree=blobs.put(encode(tree)), git=repository.git if repository else None)


def _below(exclude: Sequence[str]) -> list[str]:
    """The excluded paths that are below the root, in plain form."""
    paths = [PurePosixPath(path) for path in exclude]
    return sorted(str(p) for p in paths if p.parts and ".." not in p.parts and not p.is_absolute())


def _walk(root: Path, exclude: Sequence[str]) -> Iterator[str]:
    left: list[str] = []
    for folder, folders, names in os.walk(root, onerror=lambda error: left.append(os.fsdecode(error.filename))):
        base = "" if Path(folder) == root else f"{Path(folder).relative_to(root).as_posix()}/"
        entered = [
            name
            for name in folders
            if not name.startswith(".")
            and name not in _DERIVED
            and base + name not in exclude
            and not os.path.lexists(f"{folder}/{name}/pyvenv.cfg")
        ]
        yield from (base + name for name in names if base + name not in exclude)
        yield from (base + name for name in entered if os.path.islink(f"{folder}/{name}"))  # noqa: PTH114  it raises nothing
        folders[:] = entered
    yield from (Path(path).relative_to(root).as_posix() for path in left if Path(path) != root)


def _snapshot(root: Path, paths: Sequence[str], blobs: Blobs, largest_file: int, largest_total: int) -> SourceTree:
    files: list[SourceFile] = []
    left_out: list[LeftOut] = []
    links: dict[str, bool] = {}
    fresh: dict[str, bytes] = {}
    total = kept = 0
    for path in paths:
        taken = _read(root, path, largest_file, links)
        if isinstance(taken, _Content) and total + len(taken.data) > largest_total:
            taken = LeftOut(path, len(taken.data), f"the snapshot would be larger than {largest_total} bytes")
        if isinstance(taken, _Content):
            total += len(taken.data)
            sha256 = digest(taken.data)
            files.append(SourceFile(path, sha256, len(taken.data), taken.executable))
            if not blobs.has(sha256, len(taken.data)):
                fresh[sha256] = taken.data
            if total - kept > _MOST_AT_ONCE:
                _keep(blobs, fresh)
                kept = total
        elif taken:
            left_out.append(taken)
    _keep(blobs, fresh)
    return SourceTree(files=files, left_out=left_out)


def _keep(blobs: Blobs, fresh: dict[str, bytes]) -> None:
    """Put contents into the blobs, several at a time: each waits for the disk."""
    if len(fresh) > 1:
        from concurrent.futures import ThreadPoolExecutor

        try:
            with ThreadPoolExecutor(_WRITERS) as writers:
                list(writers.map(blobs.put, fresh.values()))  # raises what a writer raised
                fresh.clear()
        except RuntimeError as error:
            if not is_out_of_threads(error):
                raise
    for data in fresh.values():
        blobs.put(data)
    fresh.clear()


@dataclass(frozen=True)
class _Content:
    data: bytes
    executable: bool


def _read(root: Path, path: str, largest: int, links: dict[str, bool]) -> _Content | LeftOut | None:
    """The file's content, or why it is left out; None where there is no such file."""
    if _is_unsafe(path.removesuffix("/")):  # the index of a repository may name any path
        return LeftOut(_printable(path), 0, "its path leads out of the project, or into .git")
    size = 0
    try:
        status = (root / path).lstat()
        size = status.st_size
        content = _objection(root, path, status, largest, links) or _read_regular(root / path, largest)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        content = f"it cannot be read: {error.strerror}"
    return content if isinstance(content, _Content) else LeftOut(_printable(path), size, content)


def _read_regular(path: Path, largest: int) -> _Content | str:
    """The content of what was a regular file a moment ago, or why there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return "it vanished while it was read"
    with open(descriptor, "rb") as file:  # noqa: PTH123  a descriptor, so that it is the file that was looked at
        status = os.fstat(descriptor)
        data = file.read(largest + 1) if stat.S_ISREG(status.st_mode) else b""
    if not stat.S_ISREG(status.st_mode) or len(data) > largest:
        return "it changed while it was read"
    return _Content(data, bool(status.st_mode & stat.S_IXUSR))


def _objection(root: Path, path: str, status: os.stat_result, largest: int, links: dict[str, bool]) -> str | None:
    """Why that file does not go into a snapshot, or None."""
    name = path.rpartition("/")[2]
    reasons = {
        "its name is not UTF-8": _printable(path) != path,
        "it is reached through a symbolic link": _is_behind_link(root, path, links),
        "it is a symbolic link": stat.S_ISLNK(status.st_mode),
        "it is a folder that was not entered": stat.S_ISDIR(status.st_mode),
        "it is not a regular file": not stat.S_ISREG(status.st_mode),
        "its name says that it holds secrets": _is_secret(path, name),
        f"it is larger than {largest} bytes": status.st_size > largest,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _is_secret(path: str, name: str) -> bool:
    kinds = any(fnmatchcase(name, kind) for kind in _SECRETS)
    return name not in _EXAMPLES and (kinds or any(fnmatchcase(path, place) for place in _SECRET_PLACES))


def _is_behind_link(root: Path, path: str, links: dict[str, bool]) -> bool:
    folders = [path[:i] for i, c in enumerate(path) if c == "/"]
    for folder in folders:
        if folder not in links:
            links[folder] = (root / folder).is_symlink()
    return any(links[folder] for folder in folders)


def _printable(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")


# --- asking git -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Repository:
    git: Git
    paths: list[str]


def _ask_git(root: Path, exclude: Sequence[str]) -> _Repository | None:
    """What git knows of the files below `root`; None where it knows none of them, is missing or fails."""
    settings = _run_git(root, ["config", "--show-scope", "--list", "-z"])
    config = _local_settings(settings or "")
    if not config:
        return None
    unfiltered = _without_filters(config)
    pathspecs = [f":(exclude,literal){path}" for path in exclude]
    asked = ["status", "--porcelain=v2", "-z", "--branch", "--no-ahead-behind", "--no-renames"]
    asked += ["--untracked-files=all", "--ignore-submodules=dirty", "--", ":/", *pathspecs]
    status = _run_git(root, asked, unfiltered)
    derived = [f"--exclude={name}/" for name in _DERIVED]
    listing = [
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        *derived,
        "--",
        ".",
        *pathspecs,
    ]
    listed = _run_git(root, listing, unfiltered) if status is not None else None
    if status is None or not listed:
        return None
    return _Repository(_read_status(status, config), _without_virtual_environments(listed.rstrip("\0").split("\0")))


def _run_git(root: Path, arguments: Sequence[str], extra: Mapping[str, str] | None = None) -> str | None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k in _GIT_VARIABLES}
    try:
        answer = subprocess.run(
            [*_GIT, *arguments],
            cwd=root,
            env={**kept, **_GIT_QUIET, **(extra or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return os.fsdecode(answer.stdout) if answer.returncode == 0 else None


def _local_settings(settings: str) -> dict[str, str]:
    """The settings of the repository itself; of several values the first, which is where git fetches from."""
    fields = settings.split("\0")
    found: dict[str, str] = {}
    for scope, entry in zip(fields[::2], fields[1::2], strict=False):
        if scope in {"local", "worktree"}:
            key, _, value = entry.partition("\n")
            found.setdefault(key, value)
    return found


def _without_filters(config: Mapping[str, str]) -> dict[str, str]:
    """Variables that switch off the programs a repository defines as filters: `git status` would run them."""
    keys = [key for key in config if key.startswith("filter.")]
    drivers = sorted({key.removeprefix("filter.").rpartition(".")[0] for key in keys})
    nothing = {"clean": "", "process": "", "required": "false"}
    off = [(f"filter.{driver}.{what}", value) for driver in drivers for what, value in nothing.items()]
    variables = {"GIT_CONFIG_COUNT": str(len(off))}
    for number, (key, value) in enumerate(off):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return variables


def _read_status(status: str, config: Mapping[str, str]) -> Git:
    lines = status.rstrip("\0").split("\0")
    headers = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# branch.") and line.count(" ") > 1)
    commit, branch = headers.get("branch.oid"), headers.get("branch.head")
    remote = config.get(f"branch.{branch}.remote", "origin")
    address = config.get(f"remote.{remote}.url") or config.get("remote.origin.url", "")
    return Git(
        commit=None if commit == "(initial)" else commit,
        branch=None if branch is None or branch == "(detached)" else _printable(branch),
        remote=public_address(address),
        dirty=any(line and not line.startswith("# ") for line in lines),
    )


def _without_virtual_environments(paths: list[str]) -> list[str]:
    roots = tuple(path.removesuffix("pyvenv.cfg") for path in paths if path.endswith("/pyvenv.cfg"))
    return [path for path in paths if not path.startswith(roots)]


def public_address(address: str) -> str | None:
    """A git remote without user, password, query and fragment; None for a local path or what is unclear."""
    if match := _ADDRESS.fullmatch(address.partition("#")[0].partition("?")[0]):
        scheme, host, path = match.groups()
        return redact_text(f"{scheme}://{host}{path}") if _HOST.fullmatch(host) else None
    match = _SCP_ADDRESS.fullmatch(address.partition("#")[0].partition("?")[0])
    return redact_text(match[1]) if match and "://" not in address and "::" not in address else None


# --- restoring and comparing ------------------------------------------------------------------------------


def read_tree(blobs: Blobs, sha256: str) -> SourceTree:
    """The snapshot of that digest. Raises `StoreError` if it is missing or damaged."""
    return decode(blobs.read(sha256), SourceTree, where=f"source snapshot {sha256[:12]}")


def restore_source(tree: SourceTree, blobs: Blobs, target: Path) -> None:
    """Write the files of a snapshot into the empty or new folder `target`, for its owner alone.

    Raises:
        ConflictError: `target` is not empty. OutsideError: the disk refuses. StoreError: content is missing,
            a file is there twice, or a path is unsafe, and then nothing is written.
    """
    for file in tree.files:
        _check_path(file.path)
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        taken = any(target.iterdir())
    except (FileExistsError, NotADirectoryError) as error:
        raise ConflictError(f"{target} cannot be a folder: a file is in its place", hint="name a new folder") from error
    except OSError as error:
        raise _cannot_restore(target, error) from error
    if taken:
        raise ConflictError(f"{target} is not empty", hint="name a new folder for the restored files")
    for file in tree.files:
        _create(target, file, blobs.read(file.sha256))


def _cannot_restore(target: Path, error: OSError) -> OutsideError:
    return OutsideError(f"cannot restore the source files into {target}: {error.strerror}")


def _check_path(path: str) -> None:
    if _is_unsafe(path):
        raise StoreError(f"the source snapshot names a file that may not be written: {path!r}")


def _is_unsafe(path: str) -> bool:
    parts = path.split("/")
    return "\0" in path or any(part in {"", ".", ".."} or part.lower() == ".git" for part in parts)


def _create(target: Path, file: SourceFile, data: bytes) -> None:
    folder = target
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        for part in file.path.split("/")[:-1]:
            folder /= part
            folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(target / file.path, flags, 0o700 if file.executable else 0o600)
        with open(descriptor, "wb") as opened:  # noqa: PTH123  a descriptor, created exclusively
            opened.write(data)
    except (FileExistsError, NotADirectoryError) as error:
        raise StoreError(f"the source snapshot has two entries for one file: {file.path!r}") from error
    except OSError as error:
        raise _cannot_restore(target, error) from error


def diff_sources(a: SourceTree, b: SourceTree) -> SourceDiff:
    """The paths that differ from `a` to `b`."""
    first, second = _entries(a), _entries(b)
    both = sorted(first.keys() & second.keys())
    changed = {path: _is_changed(first[path], second[path]) for path in both}
    return SourceDiff(
        added=sorted(second.keys() - first.keys()),
        removed=sorted(first.keys() - second.keys()),
        changed=[path for path in both if changed[path]],
        unknown=[path for path in both if changed[path] is None],
    )


def _entries(tree: SourceTree) -> dict[str, SourceFile | LeftOut]:
    entries: list[SourceFile | LeftOut] = [*tree.files, *tree.left_out]
    return {entry.path: entry for entry in entries}


def _is_changed(old: SourceFile | LeftOut, new: SourceFile | LeftOut) -> bool | None:
    if isinstance(old, SourceFile) and isinstance(new, SourceFile):
        return (old.sha256, old.executable) != (new.sha256, new.executable)
    return None if old.bytes == new.bytes else True
