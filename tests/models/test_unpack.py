"""Folders and zips that somebody else made: what is taken, and every way to lead elsewhere or fill a disk."""

import io
import os
import stat
import struct
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.errors import LinError, NotFoundError, OutsideError
from lin.models.unpack import MOST_FILES, check_name, read_files

GOOD = {"MLmodel": b"flavors", "model.skops": b"PK", "folder/more.txt": b"more"}


def zipped(members: dict[str, bytes], *, kind: int = 0, compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = compression
            info.external_attr = (kind | 0o644) << 16
            archive.writestr(info, data)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in GOOD.items():
        file = tmp_path / "in" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return tmp_path / "in"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(data: bytes) -> Path:
        (tmp_path / "in.zip").write_bytes(data)
        return tmp_path / "in.zip"

    return write


def test_a_folder_and_its_zip_have_the_same_files(folder: Path, write: Callable[[bytes], Path]) -> None:
    found = read_files(folder, "MLmodel")
    assert found.files == GOOD
    assert found.read == {folder / name: data for name, data in GOOD.items()}
    whole = zipped(GOOD)
    assert read_files(write(whole), "MLmodel").files == GOOD
    assert read_files(write(whole), "MLmodel").read == {write(whole): whole}
    assert read_files(write(zipped(GOOD, compression=zipfile.ZIP_DEFLATED)), "MLmodel").files == GOOD


def test_a_zip_may_have_all_in_one_folder(write: Callable[[bytes], Path]) -> None:
    inside = {"boston/": b"", **{f"boston/{name}": data for name, data in GOOD.items()}}
    assert read_files(write(zipped(inside)), "MLmodel").files == GOOD
    with pytest.raises(NotFoundError, match="has no file MLmodel"):
        read_files(write(zipped({**inside, "other/file": b""})), "MLmodel")


def test_what_is_not_there_is_told(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no folder or zip"):
        read_files(tmp_path / "nothing", "MLmodel")
    (folder / "MLmodel").unlink()
    with pytest.raises(NotFoundError, match="has no file MLmodel, so it is no model folder"):
        read_files(folder, "MLmodel")


# --- folders ----------------------------------------------------------------------------------------------------------


def make_link(file: Path) -> None:
    file.symlink_to("/etc/passwd")


def make_folder_link(file: Path) -> None:
    file.symlink_to("/etc", target_is_directory=True)


def make_hard_link(file: Path) -> None:
    os.link(file.parent.parent / "secret", file)


def make_pipe(file: Path) -> None:
    os.mkfifo(file)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (make_link, "'odd' is a link"),
        (make_folder_link, "'odd' is a link"),
        (make_hard_link, "'odd' is a hard link"),
        (make_pipe, "'odd' is no regular file"),
    ],
)
def test_what_is_no_plain_file_is_refused(folder: Path, make: Callable[[Path], None], said: str) -> None:
    (folder.parent / "secret").write_text("secret")
    make(folder / "odd")
    with pytest.raises(OutsideError, match=said):
        read_files(folder, "MLmodel")


@pytest.mark.parametrize("name", [b"\xff", b"a\nb", b"a\x1b[31m", b"\xff/x"])
def test_a_file_whose_name_is_no_text_is_refused(folder: Path, name: bytes) -> None:
    place = Path(os.fsdecode(os.fsencode(folder) + b"/" + name))
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(b"")
    with pytest.raises(OutsideError, match="the model folder is refused: it has a file with the name") as refused:
        read_files(folder, "MLmodel")
    assert refused.value.message.isprintable()


def test_what_a_link_takes_the_place_of_meanwhile_is_not_followed(folder: Path, tmp_path: Path) -> None:
    """Somebody puts links to a secret in the place of a file and of a folder, over and over, while both are read."""
    secret = tmp_path / "outside"
    secret.mkdir()
    (secret / "inner").write_bytes(b"secret")
    (folder / "sub").mkdir()
    (folder / "sub/inner").write_bytes(b"ours")
    (folder / "odd").write_bytes(b"ours")
    (tmp_path / "link-sub").symlink_to(secret)
    (tmp_path / "link-odd").symlink_to(secret / "inner")
    swap = (
        "import os, sys\n"
        "while True:\n"
        "    for name in ('sub', 'odd'):\n"
        "        for one, other in (('in/', 'mine-'), ('link-', 'in/'), ('in/', 'link-'), ('mine-', 'in/')):\n"
        "            os.rename(one + name, other + name)\n"
    )
    answers = Counter[str]()
    with subprocess.Popen([sys.executable, "-c", swap], cwd=tmp_path) as swapping:
        try:
            while answers.total() < 500 or (answers.total() < 20_000 and not {"read", "refused"} <= {*answers}):
                try:
                    found = read_files(folder, "MLmodel").files
                except OutsideError:
                    answers["refused"] += 1
                except NotFoundError:
                    answers["missing"] += 1
                else:
                    answers["read"] += 1
                    assert b"secret" not in found.values()
        finally:
            swapping.kill()
    assert answers["refused"]
    assert answers["read"]


def test_names_that_are_one_elsewhere_are_refused(folder: Path) -> None:
    (folder / "MLMODEL").write_bytes(b"other")
    with pytest.raises(OutsideError, match="the names 'MLMODEL' and 'MLmodel', which are one on some systems"):
        read_files(folder, "MLmodel")


def test_too_many_files_and_folders_are_refused(folder: Path) -> None:
    deep = folder
    for _ in range(10):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (deep / "file").touch()
    with pytest.raises(OutsideError, match="deeper than"):
        read_files(folder, "MLmodel")
    (deep / "file").unlink()
    (folder / "d").rename(folder.parent / "d")
    for number in range(MOST_FILES):
        (folder / f"f{number}").touch()
    with pytest.raises(OutsideError, match="more than 1000 files"):
        read_files(folder, "MLmodel")


# --- zips -------------------------------------------------------------------------------------------------------------

BAD_NAMES = [
    "../out",
    "a/../../out",
    "/etc/out",
    "..\\out",
    "C:\\out",
    "C:out",
    "//host/out",
    "./out",
    "a//out",
    "a\x1b[2J",
    "con.",
    "a ",
    "a\u202eb",
    "a*",
    "/".join("d" * 20),
    "x" * 256,
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_leads_elsewhere_is_refused(write: Callable[[bytes], Path], tmp_path: Path, name: str) -> None:
    with pytest.raises(OutsideError, match="the model folder is refused: it has a file with the name"):
        read_files(write(zipped({**GOOD, name: b"out"})), "MLmodel")
    assert {path.name for path in tmp_path.iterdir()} == {"in.zip"}


def test_a_name_with_a_nul_is_refused(write: Callable[[bytes], Path]) -> None:
    data = zipped({**GOOD, "model.skopsX.txt": b"out"}).replace(b"model.skopsX.txt", b"model.skops\0.txt")
    with pytest.raises(OutsideError, match="it has a file with the name"):
        read_files(write(data), "MLmodel")


@pytest.mark.parametrize("other", ["mlmodel", "MLMODEL", "folder/MORE.txt"])
def test_members_that_are_one_elsewhere_are_refused(write: Callable[[bytes], Path], other: str) -> None:
    with pytest.raises(OutsideError, match="which are one on some systems"):
        read_files(write(zipped({**GOOD, other: b"other"})), "MLmodel")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused(write: Callable[[bytes], Path]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("MLmodel", b"good")
        archive.writestr("MLmodel", b"bad")
    with pytest.raises(OutsideError, match="'MLmodel' and 'MLmodel'"):
        read_files(write(buffer.getvalue()), "MLmodel")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFDIR])
def test_a_member_that_is_no_file_is_refused(write: Callable[[bytes], Path], kind: int) -> None:
    with pytest.raises(OutsideError, match="'MLmodel' is no regular file"):
        read_files(write(zipped(GOOD, kind=kind)), "MLmodel")


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(write: Callable[[bytes], Path], compression: int) -> None:
    with pytest.raises(OutsideError, match="compressed in a way that lin does not read"):
        read_files(write(zipped(GOOD, compression=compression)), "MLmodel")


def test_an_encrypted_member_is_refused(write: Callable[[bytes], Path]) -> None:
    data = bytearray(zipped(GOOD))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(OutsideError, match="is encrypted"):
        read_files(write(bytes(data)), "MLmodel")


def test_a_bomb_is_refused(write: Callable[[bytes], Path]) -> None:
    bomb = zipped({**GOOD, "zeros": bytes(200 << 20)}, compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 1 << 20
    with pytest.raises(OutsideError, match="it unpacks to more than lin reads"):
        read_files(write(bomb), "MLmodel")


def test_a_size_that_is_a_lie_is_refused(write: Callable[[bytes], Path]) -> None:
    data = bytearray(zipped({"MLmodel": bytes(1000)}))
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = struct.pack("<I", 10)
    with pytest.raises(OutsideError, match="its zip is damaged"):
        read_files(write(bytes(data)), "MLmodel")


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x05\x06" + bytes(18), b"PK\x03\x04", b"\x80\x05.", b"\x1f\x8b\x08"])
def test_what_is_no_zip_is_refused(write: Callable[[bytes], Path], data: bytes) -> None:
    with pytest.raises(OutsideError, match=r"neither a folder nor a zip|its zip is damaged"):
        read_files(write(data), "MLmodel")


def test_a_folder_with_content_is_refused(write: Callable[[bytes], Path]) -> None:
    with pytest.raises(OutsideError, match="has content"):
        read_files(write(zipped({**GOOD, "folder/": b"content"})), "MLmodel")


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_a_damaged_zip_is_refused_or_read(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    whole = bytearray(zipped(GOOD, compression=zipfile.ZIP_DEFLATED))
    for _ in range(3):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    file = tmp_path_factory.mktemp("damaged") / "in.zip"
    file.write_bytes(whole)
    try:
        names = read_files(file, "MLmodel").files
    except LinError:
        return
    assert all(check_name(name) for name in names)
