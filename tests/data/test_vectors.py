import json
import struct
import zlib
from base64 import b85decode
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.data.log import require_readable
from lin.data.roaring import BitmapError, parse_bitmap
from lin.data.tables import Table
from lin.data.vectors import MOST_ROWS, DeletionVector, decode_z85, parse_vector, read_deleted, vector_bytes
from lin.errors import OutsideError

MAGIC = struct.pack("<I", 1681511377)
Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
FILE_ID = UUID("d2c639aa-8816-431a-aaf6-d3fe2512ff61")
FILE = f"deletion_vector_{FILE_ID}.bin"


# --- a writer of our own, after the specification ---------------------------------------------------------------------


def encode_z85(data: bytes) -> str:
    padded = data + bytes(-len(data) % 4)
    words = (int.from_bytes(padded[at : at + 4]) for at in range(0, len(padded), 4))
    return "".join(Z85[word // 85**power % 85] for word in words for power in (4, 3, 2, 1, 0))


def encode_container(lows: list[int], form: str) -> bytes:
    if form == "bitset":
        bits = np.zeros(65536, np.uint8)
        bits[lows] = 1
        return np.packbits(bits, bitorder="little").tobytes()
    if form == "array":
        return struct.pack(f"<{len(lows)}H", *lows)
    present = set(lows)
    starts = [low for low in lows if low - 1 not in present]
    ends = [low for low in lows if low + 1 not in present]
    pairs = [number for start, end in zip(starts, ends, strict=True) for number in (start, end - start)]
    return struct.pack(f"<H{len(pairs)}H", len(starts), *pairs)


def encode_bitmap32(positions: list[int], *, runs: bool) -> bytes:
    groups: dict[int, list[int]] = {}
    for position in positions:
        groups.setdefault(position >> 16, []).append(position & 0xFFFF)
    forms = {key: "run" if runs else "bitset" if len(lows) > 4096 else "array" for key, lows in groups.items()}
    bodies = [encode_container(lows, forms[key]) for key, lows in groups.items()]
    header = b"".join(struct.pack("<HH", key, len(lows) - 1) for key, lows in groups.items())
    if runs:
        cookie = struct.pack("<HH", 12347, len(groups) - 1)
        cookie += np.packbits(np.ones(len(groups), np.uint8), bitorder="little").tobytes()
    else:
        cookie = struct.pack("<II", 12346, len(groups))
    if runs and len(groups) < 4:
        return cookie + header + b"".join(bodies)
    at = len(cookie) + len(header) + 4 * len(groups)
    offsets = b""
    for body in bodies:
        offsets += struct.pack("<I", at)
        at += len(body)
    return cookie + header + offsets + b"".join(bodies)


def encode_bitmap(positions: Iterable[int], *, runs: bool = False) -> bytes:
    groups: dict[int, list[int]] = {}
    for position in sorted(positions):
        groups.setdefault(position >> 32, []).append(position & 0xFFFFFFFF)
    maps = (struct.pack("<I", key) + encode_bitmap32(lows, runs=runs) for key, lows in groups.items())
    return MAGIC + struct.pack("<Q", len(groups)) + b"".join(maps)


def frame(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data + struct.pack(">I", zlib.crc32(data))


def inline_vector(data: bytes, rows: int) -> DeletionVector:
    return parse_vector("i", encode_z85(data), offset=None, size=len(data), rows=rows)


def stored_vector(data: bytes, rows: int, *, offset: int | None = 1, folder: str = "") -> DeletionVector:
    return parse_vector("u", folder + encode_z85(FILE_ID.bytes), offset=offset, size=len(data), rows=rows)


# --- bitmaps ----------------------------------------------------------------------------------------------------------

# what CRoaring 4 wrote for the positions beside it
ARRAY = bytes.fromhex("0100000000000000000000003a3000000100000000000500100000000300040007000b0012001d00")
RUNS = bytes.fromhex(
    "0200000000000000000000003b300100030000f5ff0100791101000a00f5ff01000000791102000000"
    "3a3000000100000000000000100000000000"
)
BITSET = bytes.fromhex("0100000000000000000000003a300000010000000000ff1f10000000") + b"\x55" * 2048 + bytes(6144)
MIXED = zlib.decompress(
    b85decode(
        "c-rmS!3lsc5Jb_5Ap~!Vw%|#`oMRm}WD7RzhzBds(|_<;7Pf?K^x8^Pkd7gG"
        "Y2B!^pFC%`xYY$EUj$|C0PrON00000000000Qf_8wcH;8kIp4sriytv"
    )
)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (ARRAY, [3, 4, 7, 11, 18, 29]),
        (RUNS, [*range(10, 70010), 1 << 33]),
        (BITSET, range(0, 16384, 2)),
        (
            MIXED,
            [*range(5, 5000), 3 * 65536 + 1, 9 * 65536 + 7, *range(20 * 65536, 20 * 65536 + 9000, 2), (7 << 32) + 5],
        ),
    ],
    ids=["array", "runs", "bitset", "mixed"],
)
def test_what_another_writer_wrote_is_read(data: bytes, expected: Iterable[int]) -> None:
    wanted = np.array(list(expected), np.int64)
    found = parse_bitmap(MAGIC + data, count=len(wanted))
    assert found.dtype == np.int64
    assert np.array_equal(found, wanted)


POSITIONS = st.one_of(
    st.sets(st.integers(0, (1 << 31) * (1 << 32) - 1), max_size=50),
    st.sets(st.integers(0, 6 * 65536), max_size=200),
    st.tuples(st.integers(0, 200_000), st.integers(1, 80_000), st.integers(1, 5)).map(
        lambda parts: set(range(parts[0], parts[0] + parts[1], parts[2]))
    ),
)


@settings(max_examples=40, deadline=None)
@given(POSITIONS, st.booleans())
def test_a_bitmap_gives_the_positions_that_went_in(positions: set[int], runs: bool) -> None:
    found = parse_bitmap(encode_bitmap(positions, runs=runs), count=len(positions))
    assert np.array_equal(found, np.array(sorted(positions), np.int64))


@settings(max_examples=50, deadline=None)
@given(st.data(), st.booleans())
def test_no_bytes_at_all_get_past_the_checks(data: st.DataObject, runs: bool) -> None:
    good = bytearray(encode_bitmap({1, 2, 3, 9, 65536 * 2, 65536 * 5 + 9, 65536 * 7, 65536 * 8, 1 << 32}, runs=runs))
    for _ in range(data.draw(st.integers(1, 3))):
        good[data.draw(st.integers(4, len(good) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(good)))
    try:
        found = parse_bitmap(bytes(good[:cut]), count=9)
    except BitmapError:
        return
    assert len(found) == 9
    assert (np.diff(found) > 0).all()
    assert found[0] >= 0


ONE_RUN = struct.pack("<IHHBHHH", 0, 12347, 0, 1, 0, 9, 1)  # key, cookie, flags; container 0 of 10 values in 1 run


@pytest.mark.parametrize(
    ("data", "count", "why"),
    [
        (b"", 0, "cut off"),
        (struct.pack("<I", 1681511376), 0, "not the mark"),
        (MAGIC + struct.pack("<Q", 1 << 63), 0, "cut off"),
        (MAGIC + ARRAY, 5, "1 rows more than the log says"),
        (MAGIC + ARRAY, 7, "it deletes 6 rows, and the log says 7"),
        (MAGIC + ARRAY + b"\0", 6, "1 bytes too many"),
        (MAGIC + ARRAY[:-1], 6, "cut off"),
        (MAGIC + ARRAY.replace(b"\x10\0\0\0", b"\x11\0\0\0"), 6, "the offset 17 of a container is wrong"),
        (MAGIC + ARRAY.replace(b"\x07\0", b"\x04\0"), 6, "values of a container are out of order"),
        (MAGIC + ARRAY.replace(b"\x3a\x30", b"\x3c\x30"), 6, "a bitmap that starts with 12348"),
        (MAGIC + ARRAY.replace(b"\x3a\x30\0\0\x01\0\0", b"\x3a\x30\0\0\x01\0\x01"), 6, "containers is none"),
        (MAGIC + RUNS.replace(b"\x01\0\x79\x11", b"\0\0\x79\x11"), 70001, "containers are out of order"),
        (MAGIC + BITSET[:-1] + b"\x01", 8192, "has 8193 values and says 8192"),
        (MAGIC + struct.pack("<Q", 1) + ONE_RUN + struct.pack("<HH", 65530, 9), 10, "runs of a container are out"),
        (MAGIC + struct.pack("<Q", 1) + ONE_RUN + struct.pack("<HH", 0, 8), 10, "has 9 values and says 10"),
        (MAGIC + struct.pack("<QI", 1, 1 << 31), 0, "key 2147483648 of a bitmap is out of"),
        (MAGIC + struct.pack("<Q", 2) + ARRAY[8:] + ARRAY[8:], 12, "key 0 of a bitmap is out of order"),
    ],
)
def test_a_wrong_bitmap_is_refused_with_the_reason(data: bytes, count: int, why: str) -> None:
    with pytest.raises(BitmapError, match=why):
        parse_bitmap(data, count=count)


def test_overlapping_runs_are_refused() -> None:
    head = struct.pack("<IHHBHHH", 0, 12347, 0, 1, 0, 9, 2)
    with pytest.raises(BitmapError, match="out of order"):
        parse_bitmap(MAGIC + struct.pack("<Q", 1) + head + struct.pack("<HHHH", 0, 4, 4, 4), count=10)


def test_a_small_bitmap_takes_no_more_memory_than_the_log_allows() -> None:
    import tracemalloc

    containers = 65536
    flags = bytes([255]) * (containers // 8)
    header = b"".join(struct.pack("<HH", key, 65535) for key in range(containers))
    full = struct.pack("<HHH", 1, 0, 65535)
    offsets = b"".join(
        struct.pack("<I", 4 + len(flags) + len(header) + 4 * containers + 6 * n) for n in range(containers)
    )
    bitmap = struct.pack("<HH", 12347, containers - 1) + flags + header + offsets + full * containers
    tracemalloc.start()
    with pytest.raises(BitmapError, match="more than the log says"):
        parse_bitmap(MAGIC + struct.pack("<QI", 1, 0) + bitmap, count=1000)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


# --- where they lie ---------------------------------------------------------------------------------------------------


def test_the_words_of_the_log_name_a_file() -> None:
    text = "ab^-aqEH.-t@S}K{vb[*k^"  # the protocol's own example
    vector = parse_vector("u", text, offset=4, size=40, rows=6)
    assert vector.path == "ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin"
    assert vector.id == "uab^-aqEH.-t@S}K{vb[*k^@4"
    assert parse_vector("u", text[2:], offset=None, size=40, rows=6).path == FILE
    assert parse_vector("u", text[2:], offset=None, size=40, rows=6).id == f"u{text[2:]}"


def test_an_inline_vector_of_another_writer_is_read(tmp_path: Path) -> None:
    text = "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L"
    vector = parse_vector("i", text, offset=None, size=44, rows=6)
    assert (vector.id, vector.path, vector.inline) == (f"i{text}", None, text)
    assert read_deleted(tmp_path, vector, of="x").tolist() == [3, 4, 7, 11, 18, 29]


def test_the_form_that_spark_does_not_read_either_is_refused(tmp_path: Path) -> None:
    text = "wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L"  # an example of the protocol, and not in its format
    with pytest.raises(OutsideError, match="not the mark of a deletion vector"):
        read_deleted(tmp_path, parse_vector("i", text, offset=None, size=40, rows=6), of="x")


@pytest.mark.parametrize(("storage", "text"), [("x", "abc"), ("u", "tooshort"), ("u", "~" * 20), ("u", "#" * 20)])
def test_words_that_name_no_vector_are_refused(storage: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"unknown|does not name|no character|no Z85"):
        parse_vector(storage, text, offset=1, size=1, rows=1)


@given(st.binary(max_size=60).map(lambda data: data + bytes(-len(data) % 4)))
@settings(max_examples=40, deadline=None)
def test_z85_gives_the_bytes_that_went_in(data: bytes) -> None:
    assert decode_z85(encode_z85(data)) == data


def test_one_file_holds_several_vectors(tmp_path: Path) -> None:
    first, second = encode_bitmap({1, 5}), encode_bitmap(range(100, 9000), runs=True)
    (tmp_path / "a%b").mkdir()
    (tmp_path / "a%b" / FILE).write_bytes(b"\x01" + frame(first) + frame(second))
    one = stored_vector(first, 2, folder="a%b")
    other = stored_vector(second, 8900, offset=1 + len(frame(first)), folder="a%b")
    assert read_deleted(tmp_path, one, of="x").tolist() == [1, 5]
    assert read_deleted(tmp_path, other, of="x").tolist() == list(range(100, 9000))
    assert vector_bytes(tmp_path, other, of="x") == second
    assert one.id != other.id
    without = stored_vector(first, 2, offset=None, folder="a%b")
    assert read_deleted(tmp_path, without, of="x").tolist() == [1, 5]


def damage(content: bytes, how: str) -> bytes:
    match how:
        case "version":
            return b"\x02" + content[1:]
        case "size":
            return content[:1] + struct.pack(">I", 3) + content[5:]
        case "flip":
            return content[:20] + bytes([content[20] ^ 1]) + content[21:]
        case "checksum":
            return content[:-1] + bytes([content[-1] ^ 1])
        case _:
            return content[:-1]


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("version", "starts with 02"),
        ("size", "another size"),
        ("flip", "checksum"),
        ("checksum", "checksum"),
        ("cut", "too short"),
    ],
)
def test_a_damaged_vector_is_refused_by_name(tmp_path: Path, how: str, why: str) -> None:
    data = encode_bitmap({1, 5})
    (tmp_path / FILE).write_bytes(damage(b"\x01" + frame(data), how))
    with pytest.raises(OutsideError, match=rf"'{FILE}' of data file 'part.parquet' cannot be read: .*{why}") as caught:
        read_deleted(tmp_path, stored_vector(data, 2), of="part.parquet")
    assert caught.value.hint == "restore that file from a backup of the table"


def test_a_missing_vector_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutsideError, match=rf"'{FILE}' of data file 'x' .* is missing"):
        read_deleted(tmp_path, stored_vector(b"", 0), of="x")


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "link to its folder"])
def test_a_vector_is_reached_through_no_link_and_waits_for_nobody(tmp_path: Path, kind: str) -> None:
    import os

    root, elsewhere = tmp_path / "table", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    data = encode_bitmap({1})
    (elsewhere / FILE).write_bytes(b"\x01" + frame(data))
    match kind:
        case "link":
            (root / FILE).symlink_to(elsewhere / FILE)
        case "folder":
            (root / FILE).mkdir()
        case "pipe":
            os.mkfifo(root / FILE)
        case _:
            (root / "d").symlink_to(elsewhere)
    vector = stored_vector(data, 1, folder="d" if kind == "link to its folder" else "")
    with pytest.raises(OutsideError, match=FILE):
        read_deleted(root, vector, of="x")


@pytest.mark.parametrize(
    ("text", "size", "why"),
    [("00000", 9, "4 bytes, and the log says 9"), ("00000", 0, "4 bytes"), ("0000", 4, "cut off"), ("0000~", 4, "'~'")],
)
def test_a_wrong_inline_vector_is_refused(tmp_path: Path, text: str, size: int, why: str) -> None:
    vector = parse_vector("i", text, offset=None, size=size, rows=1)
    with pytest.raises(OutsideError, match=rf"in the table's log of data file 'x' cannot be read: .*{why}"):
        read_deleted(tmp_path, vector, of="x")


def test_rows_that_the_file_cannot_have_are_refused(tmp_path: Path) -> None:
    data = encode_bitmap({1, 5})
    assert read_deleted(tmp_path, inline_vector(data, 2), of="x", within=6).tolist() == [1, 5]
    with pytest.raises(OutsideError, match="it deletes row 5 of 5"):
        read_deleted(tmp_path, inline_vector(data, 2), of="x", within=5)
    with pytest.raises(OutsideError, match="it deletes 2 rows, more than 1"):
        read_deleted(tmp_path, inline_vector(data, 2), of="x", within=1)
    with pytest.raises(OutsideError, match=f"more than {MOST_ROWS}"):
        read_deleted(tmp_path, inline_vector(data, MOST_ROWS + 1), of="x")


def test_a_size_that_the_log_invents_takes_no_memory(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"\x01" + frame(b""))
    vector = parse_vector("u", encode_z85(FILE_ID.bytes), offset=1, size=1 << 50, rows=1)
    with pytest.raises(OutsideError, match="too short"):
        read_deleted(tmp_path, vector, of="x")


# --- in a table -------------------------------------------------------------------------------------------------------


def delete_rows(table: Table, positions: Iterable[int], *, inline: bool) -> None:
    """Commit a deletion vector over the table's one file, in the words of Spark."""
    log = table.root / "_delta_log"
    actions = [json.loads(line) for line in (log / f"{0:020d}.json").read_text().splitlines()]
    add = next(action["add"] for action in actions if "add" in action)
    data, rows = encode_bitmap(positions, runs=True), len(list(positions))
    text, storage = (encode_z85(data), "i") if inline else (encode_z85(FILE_ID.bytes), "u")
    vector: dict[str, Any] = {"storageType": storage, "pathOrInlineDv": text}
    if not inline:
        (table.root / FILE).write_bytes(b"\x01" + frame(data))
        vector["offset"] = 1
    vector |= {"sizeInBytes": len(data), "cardinality": rows}
    features = ["deletionVectors"]
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features}
    removed = {"path": add["path"], "deletionTimestamp": 1, "dataChange": True}
    added = {**add, "deletionVector": vector}
    lines = [{"protocol": protocol}, {"remove": removed}, {"add": added}]
    (log / f"{1:020d}.json").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize("inline", [False, True], ids=["stored", "inline"])
def test_delta_rs_sees_the_same_rows(make_table: Any, inline: bool) -> None:
    from deltalake import DeltaTable, QueryBuilder

    table = make_table(pa.table({"id": range(10_000)}))
    delete_rows(table, range(7, 9_000, 3), inline=inline)
    snapshot = table.log.snapshot()
    require_readable(table.log, snapshot)
    (file,) = snapshot.files
    assert file.vector is not None
    assert file.rows == 10_000 - 2_998
    deleted = read_deleted(table.root, file.vector, of=file.path)
    ids = pq.ParquetFile(table.root / file.path).read().column("id").to_numpy()
    handle = DeltaTable(table.root)
    found = pa.table(QueryBuilder().register("t", handle).execute("select id from t order by id").read_all())
    assert found.column("id").to_pylist() == np.delete(ids, deleted).tolist()


def test_the_old_version_and_the_new_one_have_other_files(make_table: Any) -> None:
    table = make_table(pa.table({"id": range(10)}))
    delete_rows(table, [3], inline=True)
    old, new = (table.log.snapshot(version) for version in (0, 1))
    assert [file.path for file in old.files] == [file.path for file in new.files]
    assert not old.keys & new.keys
