"""The artifacts of a run outside of the store: which are meant, what kind each is, and getting them as files.

What a record says is hostile: a path in it that leads anywhere but below the folder that was asked for is refused,
and content is written only when it has the sha256 of the record. A file that is there is not overwritten unasked.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec

from lin.errors import ConflictError, NotFoundError, OutsideError, StoreError, UsageError, nearest
from lin.ids import short
from lin.records import Artifact, digest
from lin.runs.log import check_artifact_path
from lin.runs.query import RunInfo
from lin.store.store import Store
from lin.store.whole import discard_unfinished, write_whole

Kind = Literal[
    "image", "page", "text", "table", "document", "sound", "video", "model", "unsafe model", "archive", "data"
]
VIEWED: frozenset[Kind] = frozenset({"image", "page", "text", "table", "document", "sound", "video"})
"""The kinds whose viewers are made for what strangers send."""

_SUFFIXES: dict[Kind, str] = {
    "image": "png jpg jpeg gif webp bmp tif tiff svg",
    "page": "html htm",
    "text": "txt md rst log json jsonl yaml yml toml ini cfg xml tex csv tsv",
    "table": "parquet arrow feather xlsx ods",
    "document": "pdf",
    "sound": "wav mp3 flac ogg",
    "video": "mp4 webm mkv mov",
    "model": "skops onnx safetensors pt pth ckpt h5 keras",
    "unsafe model": "pkl pickle joblib",
    "archive": "zip tar gz bz2 xz zst tgz",
}
_KINDS: dict[str, Kind] = {suffix: kind for kind, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact as a list shows it."""

    path: str
    kind: Kind
    bytes: int
    sha256: str


class Got(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact as a file: `path` in the run, `file` on disk; `written` is false where the same content was there."""

    path: str
    file: str
    sha256: str
    bytes: int
    written: bool


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact that was shown: the copy, and the command that shows it."""

    path: str
    file: str
    viewer: list[str]


def kind_of(path: str) -> Kind:
    """What an artifact is by its name, `data` where that does not tell."""
    return _KINDS.get(PurePosixPath(path).suffix.lower().removeprefix("."), "data")


def split_uri(reference: str) -> tuple[str, list[str]]:
    """`runs:/ID/plots/errors.png` as a run and the path behind it; any other reference, and no path."""
    if not reference.startswith("runs:/"):
        return reference, []
    run, _, path = reference.removeprefix("runs:/").partition("/")
    return f"run:{run}", [path] if path else []


def choose_artifacts(run: RunInfo, paths: Sequence[str]) -> list[Artifact]:
    """The artifacts of these paths, and all below those that are folders; all of the run where there is none.

    Raises:
        NotFoundError: the run has none that is called so, or below it.
    """
    chosen: dict[str, Artifact] = {}
    for path in paths or [""]:
        folder = f"{path.rstrip('/')}/" if path else ""
        fits = [each for each in run.artifacts if each.path == path or each.path.startswith(folder)]
        if not fits and path:
            known = [each.path for each in run.artifacts]
            hint = nearest(path, known, instead=f"lin artifacts {short(run.id)}")
            raise NotFoundError(f"run {short(run.id)} has no artifact '{path}'", hint=hint)
        chosen |= {each.path: each for each in fits}
    return list(chosen.values())


def choose_one(run: RunInfo, paths: Sequence[str]) -> Artifact:
    """The one artifact of these paths. Raises `UsageError` where they are several, and as `choose_artifacts`."""
    if not paths:
        raise UsageError("name the artifact that is meant", hint=f"lin artifacts {short(run.id)}")
    chosen = choose_artifacts(run, paths)
    if len(chosen) > 1:
        raise UsageError(f"these are {len(chosen)} artifacts, and one can be shown", hint=f"name one: {chosen[0].path}")
    return chosen[0]


def list_artifacts(run: RunInfo, paths: Sequence[str] = ()) -> list[Kept]:
    """What there is of these paths. Raises as `choose_artifacts`."""
    return [
        Kept(path=each.path, kind=kind_of(each.path), bytes=each.bytes, sha256=each.sha256)
        for each in choose_artifacts(run, paths)
    ]


# --- getting them -----------------------------------------------------------------------------------------------------


def get_artifacts(store: Store, artifacts: Sequence[Artifact], to: str, *, force: bool = False) -> list[Got]:
    """Write artifacts below the folder `to`, each under its path in the run; all paths are looked at before the first.

    One artifact becomes the file `to` itself, if that is no folder and does not end in a slash.

    Raises:
        StoreError: a path leads out of the folder, or content is missing or not what the record says.
        ConflictError: another file is there, and not `force`. OutsideError: a file cannot be written.
    """
    is_file = len(artifacts) == 1 and not to.endswith("/") and not Path(to).is_dir()
    places = [Path(to)] if is_file else [_place(Path(to), artifact.path) for artifact in artifacts]
    return [get_artifact(store, each, file, force=force) for each, file in zip(artifacts, places, strict=True)]


def get_artifact(store: Store, artifact: Artifact, file: Path, *, force: bool = False) -> Got:
    """Write one artifact as this file. Raises as `get_artifacts`."""
    try:
        is_same = file.is_file() and file.stat().st_size == artifact.bytes and digest(file.read_bytes())
        if is_same != artifact.sha256:
            if os.path.lexists(file) and not force:
                raise ConflictError(f"'{file}' is there, and another file", hint="--force overwrites it")
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, store.blobs.read(artifact.sha256), replace=force)
        else:
            discard_unfinished(file)  # of a command that was killed when the file had its name already
    except FileExistsError as error:
        raise ConflictError(f"'{error.filename2 or error.filename}' is there, and another file") from error
    except OSError as error:
        raise OutsideError(f"'{file}' cannot be written: {error.strerror or error}") from error
    return Got(
        path=artifact.path,
        file=str(file),
        sha256=artifact.sha256,
        bytes=artifact.bytes,
        written=is_same != artifact.sha256,
    )


def _place(folder: Path, path: str) -> Path:
    """Where the artifact of that path lies below the folder, links in it followed. Raises `StoreError` if nowhere."""
    try:
        file = folder / check_artifact_path(path)
    except UsageError as error:
        raise StoreError(f"the record names an artifact {path!r}, which is no path below a folder") from error
    if not file.parent.resolve().is_relative_to(folder.resolve()):
        raise StoreError(f"'{file.parent}' is a link that leads out of '{folder}'", hint="--to another folder")
    return file


# --- looking at one ---------------------------------------------------------------------------------------------------


def find_viewer(environ: Mapping[str, str]) -> list[str]:
    """What opens a file for a person: the first of `$BROWSER` that is there, else what the system has for it.

    Raises:
        NotFoundError: there is none.
    """
    wishes = [shlex.split(wish) for wish in environ.get("BROWSER", "").split(":") if wish.strip()]
    for words in (*wishes, ["open"] if sys.platform == "darwin" else ["xdg-open"]):
        if shutil.which(words[0], path=environ.get("PATH")):
            return words
    raise NotFoundError("there is no program here that opens files", hint="--to FILE, or set BROWSER to one")


def open_artifact(store: Store, artifact: Artifact, viewer: Sequence[str]) -> Opened:
    """Show a copy of the artifact in a viewer, and wait until that has taken it. The copy stays in a folder of its own.

    Raises:
        UsageError: it is of a kind that should not be opened unseen. OutsideError: the viewer fails.
        StoreError: as `get_artifacts`.
    """
    if kind_of(artifact.path) not in VIEWED:
        raise UsageError(f"'{artifact.path}' is nothing to look at: {kind_of(artifact.path)}", hint="--to FILE gets it")
    copy = _place(Path(tempfile.mkdtemp(prefix="lin-")), PurePosixPath(artifact.path).name)
    get_artifact(store, artifact, copy)
    words = [word.replace("%s", str(copy)) for word in viewer]
    try:
        code = subprocess.run([*words, *([] if words != [*viewer] else [str(copy)])], check=False).returncode
    except OSError as error:
        raise OutsideError(f"'{viewer[0]}' cannot be started: {error.strerror}") from error
    if code:
        raise OutsideError(f"'{viewer[0]}' ended with exit code {code}", hint=f"the file is {copy}")
    return Opened(path=artifact.path, file=str(copy), viewer=list(viewer))
