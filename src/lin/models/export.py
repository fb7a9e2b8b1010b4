"""Writing a model version as a folder, or a zip of one, that MLflow loads: see `lin.models.folders`.

It appears whole or not at all: everything is written beside its place and renamed. What is there already is replaced
only when that was asked for, and a folder only if it is a model folder.
"""

import io
import os
import stat
import zipfile
from pathlib import Path

import msgspec

from lin.errors import ConflictError, NotFoundError, OutsideError, UsageError
from lin.models.folders import Content, make_content
from lin.models.mlmodel import MLMODEL
from lin.models.registry import find_version, read_registry
from lin.project import Project
from lin.records import digest
from lin.runs.persist import load_model, pickle_model
from lin.runs.query import read_run
from lin.runs.trust import NOBODY, Trust, importing_trusted
from lin.store.whole import discard_unfinished, whole_folder, write_whole

_FILE_MODE = 0o644
_FOLDER_MODE = 0o755


class ExportedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of an exported folder."""

    path: str
    sha256: str
    bytes: int


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """A model version that was written to `place`; `written` is false where it was there already.

    `unsafe` tells that its file runs code when it is loaded; `lacks` says what of the usual is not there, and why.
    """

    version: str
    place: str
    files: list[ExportedFile]
    unsafe: bool
    written: bool
    lacks: list[str]


def export_version(
    project: Project, reference: str, to: Path, *, pickle: bool = False, force: bool = False, trust: Trust = NOBODY
) -> Exported:
    """Write a model version as the folder `to`, or as a zip if that ends in `.zip`.

    Args:
        project: where the version is registered.
        reference: `boston@3`, `boston@production`.
        to: the folder or zip; the folder that it is in has to be there.
        pickle: write the model as a pickle. One that is kept as a pickle is only written so.
        force: replace a model folder or a file that is there.
        trust: whose code may run, where a pickle has to be made.

    Raises:
        NotFoundError: no such version, or nothing to put it in. UsageError: its file is a pickle and `pickle` is false.
        ConflictError: something else is there. OutsideError: it cannot be written.
    """
    version = find_version(read_registry(project.store), reference)
    if version.unsafe and not pickle:
        raise UsageError(
            f"{version.reference} is kept as a pickle, which runs code when it is loaded",
            hint=f"lin export {version.reference} {to} --pickle",
        )
    model = project.store.blobs.read(version.sha256)
    if pickle and not version.unsafe:
        with importing_trusted(project.root, trust):
            model = pickle_model(load_model(model, path=version.artifact, trust=trust))
    content = make_content(project, version, read_run(project.store, version.run), model, pickled=pickle)
    try:
        discard_unfinished(to)
        written = _write_zip(to, content, force) if to.suffix.lower() == ".zip" else _write_folder(to, content, force)
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no folder '{to.parent}'", hint=f"mkdir -p {to.parent}") from error
    except OSError as error:
        raise OutsideError(f"'{to}' cannot be written: {error.strerror or error}") from error
    files = sorted(content.files.items())
    return Exported(
        version=version.reference,
        place=str(to),
        files=[ExportedFile(path=name, sha256=digest(data), bytes=len(data)) for name, data in files],
        unsafe=pickle,
        written=written,
        lacks=content.lacks,
    )


# --- a folder ---------------------------------------------------------------------------------------------------------


def _write_folder(to: Path, content: Content, force: bool) -> bool:
    """Write the folder; tells whether it was not there yet."""
    if _is_same(to, content):
        return False
    is_there = os.path.lexists(to) and not _is_empty(to)
    if is_there and not force:
        raise ConflictError(f"'{to}' is there, and something else", hint="another folder, or --force replaces it")
    if is_there and (to.is_symlink() or not (to / MLMODEL).is_file()):
        raise ConflictError(f"'{to}' is no model folder, so it is not replaced", hint="another folder")
    with whole_folder(to, mode=_FOLDER_MODE) as new:
        for name, data in content.files.items():
            _write_file(new / name, data)
    return True


def _is_same(to: Path, content: Content) -> bool:
    """Whether just these files are there."""
    if to.is_symlink() or not to.is_dir() or {file.name for file in to.iterdir()} != content.files.keys():
        return False
    files = [to / name for name in content.files]
    if not all(stat.S_ISREG(file.lstat().st_mode) for file in files):
        return False
    return all(file.read_bytes() == content.files[file.name] for file in files)


def _is_empty(to: Path) -> bool:
    return to.is_dir() and not to.is_symlink() and not any(to.iterdir())


def _write_file(file: Path, data: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _FILE_MODE)
    with os.fdopen(descriptor, "wb") as sink:
        sink.write(data)


# --- a zip ------------------------------------------------------------------------------------------------------------


def _write_zip(to: Path, content: Content, force: bool) -> bool:
    """Write the zip; tells whether it was not there yet."""
    data = _pack(content)
    if os.path.lexists(to):
        if to.is_file() and not to.is_symlink() and to.read_bytes() == data:
            return False
        if not force:
            raise ConflictError(f"'{to}' is there, and something else", hint="another name, or --force replaces it")
        if to.is_symlink() or not to.is_file():
            raise ConflictError(f"'{to}' is no file, so it is not replaced", hint="another name")
    try:
        write_whole(to, data, replace=force, mode=_FILE_MODE)
    except FileExistsError as error:
        raise ConflictError(f"'{to}' was written by somebody else just now") from error
    return True


def _pack(content: Content) -> bytes:
    """The zip: names in order, no dates, not compressed, so that its bytes hang on nothing but the files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in sorted(content.files.items()):
            info = zipfile.ZipInfo(name)  # its date is 1980-01-01
            info.create_system = 3
            info.external_attr = (stat.S_IFREG | _FILE_MODE) << 16
            archive.writestr(info, data)
    return buffer.getvalue()
