import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from lin.data.casts import cast_exactly, delta_type
from lin.data.commit import Attribution, check_commit, sync_commit
from lin.data.parts import Parts, writing_parts
from lin.data.pins import pin_version
from lin.data.read import read_version
from lin.data.tables import Table
from lin.data.write import create_table, fill_column, replace_rows, rewrite_column, write_files
from lin.errors import ConflictError, OutsideError, UsageError

NOW = 1_795_305_600_000
BY = Attribution(run="0197a000000070008000000000000001", user="ada", reason="a test", model="boston@2", lin="0.1.0")
MakeTable = Callable[..., Table]


def housing(rows: int = 506, missing: int = 173) -> pa.Table:
    """Rows with an `id`, a `crim`, and a `medv` that the last `missing` rows lack."""
    return pa.table(
        {
            "id": pa.array(range(rows), pa.int64()),
            "crim": pa.array([n / 7 for n in range(rows)]),
            "medv": pa.array([float(n) if n < rows - missing else None for n in range(rows)], pa.float64()),
        }
    )


def files_in(root: Path) -> set[str]:
    """Every file below `root`."""
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(path.name for path in folder.iterdir())


def create(root: Path, rows: pa.Table) -> Table:
    """A table that lin made."""
    assert create_table(root, rows.to_reader(), BY, now_ms=NOW) == 0
    return Table(root.name, root, key=("id",))


def test_commit_metadata_has_every_fact_twice() -> None:
    metadata = BY.commit_metadata()
    text = json.loads(metadata.pop("userMetadata"))
    assert text == metadata
    assert metadata == {
        "lin.run": BY.run,
        "lin.user": "ada",
        "lin.reason": "a test",
        "lin.model": "boston@2",
        "lin.version": "0.1.0",
    }
    assert "lin.model" not in Attribution(run="r", user="u", reason="w", lin="1").commit_metadata()


# --- files ---


def test_files_hold_the_rows_in_the_order_of_their_names(tmp_path: Path) -> None:
    rows = housing(1000)
    adds = write_files(tmp_path, rows.to_reader(max_chunksize=70), modified=NOW, rows_per_file=300)
    assert [json.loads(add.stats)["numRecords"] for add in adds] == [300, 300, 300, 100]
    assert [add.path for add in adds] == names(tmp_path)
    assert pa.concat_tables([pq.read_table(tmp_path / add.path) for add in adds]).equals(rows)
    assert {(tmp_path / add.path).stat().st_size == add.size for add in adds} == {True}
    assert {add.modification_time for add in adds} == {NOW}


def test_statistics_bound_integers_finite_floats_and_short_texts(tmp_path: Path) -> None:
    rows = pa.table(
        {
            "n": [3, None, -1],
            "x": [0.5, 2.5, None],
            "nan": [1.0, float("nan"), 2.0],
            "inf": [1.0, 2.0, float("inf")],
            "text": ["b", "a", "é"],
            "long": ["a", "b" * 33, None],
            "null": pa.array([None, None, None], pa.int32()),
            "struct.b": [1, 2, 3],
            "list": [[1], None, [2]],
            "struct": [{"b": 1}, None, {"b": 2}],
        }
    )
    (add,) = write_files(tmp_path, rows.to_reader(max_chunksize=1), modified=NOW)
    stats = json.loads(add.stats)
    assert stats["numRecords"] == 3
    assert stats["minValues"] == {"n": -1, "x": 0.5, "text": "a"}
    assert stats["maxValues"] == {"n": 3, "x": 2.5, "text": "é"}
    counts = {"n": 1, "x": 1, "nan": 0, "inf": 0, "text": 0, "long": 1, "null": 3}
    assert stats["nullCount"] == counts


def test_a_failure_in_the_middle_leaves_no_file(tmp_path: Path) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield from housing(100).to_batches()
        raise UsageError("the source broke")

    reader = pa.RecordBatchReader.from_batches(housing().schema, batches())
    with pytest.raises(UsageError, match="the source broke"):
        write_files(tmp_path, reader, modified=NOW, rows_per_file=30)
    assert names(tmp_path) == []


# --- create ---


def test_create_makes_version_0_that_others_read(tmp_path: Path) -> None:
    table = create(tmp_path / "new" / "housing", housing())
    snapshot, rows = read_version(table)
    assert snapshot.version == 0
    assert rows.equals(housing())
    assert DeltaTable(table.root).to_pyarrow_table().num_rows == 506
    info = table.log.commit(0).info
    assert (info["lin.run"], info["lin.model"], json.loads(info["userMetadata"])["lin.user"]) == (
        BY.run,
        "boston@2",
        "ada",
    )
    assert snapshot.metadata.configuration["delta.enableExpiredLogCleanup"] == "false"


def test_create_takes_no_rows_and_times_without_a_zone(tmp_path: Path) -> None:
    empty = pa.table({"t": pa.array([], pa.timestamp("us"))})
    _, rows = read_version(create(tmp_path / "t", empty))
    assert rows.equals(empty)


def test_create_refuses_an_existing_table_and_leaves_it_alone(tmp_path: Path) -> None:
    table = create(tmp_path / "housing", housing())
    before = files_in(table.root)
    with pytest.raises(ConflictError, match="already"):
        create(table.root, housing())
    assert files_in(table.root) == before


def test_a_failed_create_leaves_nothing(tmp_path: Path) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield from housing(10).to_batches()
        raise UsageError("the source broke")

    reader = pa.RecordBatchReader.from_batches(housing().schema, batches())
    with pytest.raises(UsageError, match="the source broke"):
        create_table(tmp_path / "a" / "housing", reader, BY, now_ms=NOW)
    assert names(tmp_path) == []


def test_a_failed_create_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "housing.csv").write_text("id\n1\n")
    with pytest.raises(UsageError, match="time32"):
        create(tmp_path, pa.table({"t": pa.array([1], pa.time32("s"))}))
    assert names(tmp_path) == ["housing.csv"]


def test_a_killed_create_does_not_stand_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "housing" / "_delta_log").mkdir(parents=True)
    create(tmp_path / "housing", housing())


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OutsideError, match="could not be written"):
            create(tmp_path / "housing", pa.table({"id": pa.array(os.urandom(8) for _ in range(9000))}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["a%41b", "a\\b", "a\nb"])
def test_a_path_that_delta_rs_takes_for_another_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutsideError, match="cannot write"):
        create(tmp_path / name, housing())
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["100% x", "é#?;'\"", "plus+ [1]*"])
def test_odd_paths_work(tmp_path: Path, name: str) -> None:
    table = create(tmp_path / name, housing())
    replace_rows(table, table.log.snapshot(), housing(7).to_reader(), BY, now_ms=NOW)
    assert files_in(tmp_path) == {f"{name}/{file}" for file in files_in(table.root)}


def test_processes_that_create_the_same_table_make_one(tmp_path: Path) -> None:
    script = (
        "import sys, pyarrow as pa; from pathlib import Path\n"
        "from lin.data.commit import Attribution; from lin.data.write import create_table\n"
        "from lin.errors import ConflictError\n"
        "by = Attribution(run=sys.argv[2], user='u', reason='r', lin='1')\n"
        "rows = pa.table({'id': [int(sys.argv[2])]})\n"
        "try: create_table(Path(sys.argv[1]), rows.to_reader(), by, now_ms=0); print(sys.argv[2])\n"
        "except ConflictError: pass\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "t")]
    running = [subprocess.Popen([*command, str(n)], stdout=subprocess.PIPE, text=True) for n in range(4)]
    winners = [out.strip() for out in (process.communicate()[0] for process in running) if out.strip()]
    assert [process.returncode for process in running] == [0] * 4
    _, rows = read_version(Table("t", tmp_path / "t"))
    assert winners == [str(n) for n in rows.column("id").to_pylist()]
    assert len(files_in(tmp_path / "t")) == 2


# --- replace ---


def test_replace_keeps_the_order_and_may_add_a_column(tmp_path: Path) -> None:
    table = create(tmp_path / "housing", housing(10))
    rows = housing(10).take([4, 2, 9]).append_column("note", pa.array(["x", None, "y"], pa.large_string()))
    assert replace_rows(table, table.log.snapshot(), rows.to_reader(), BY, now_ms=NOW - 5) == 1
    snapshot, found = read_version(table)
    assert found.column("id").to_pylist() == [4, 2, 9]
    assert found.column("note").to_pylist() == ["x", None, "y"]
    assert snapshot.metadata.columns == ["id", "crim", "medv", "note"]
    assert snapshot.metadata.id == table.log.snapshot(0).metadata.id
    assert read_version(table, 0)[1].equals(housing(10))
    assert table.log.commit(1).info["lin.run"] == BY.run


def test_replace_keeps_what_the_schema_says_of_its_columns(tmp_path: Path) -> None:
    from deltalake import Field, Schema
    from deltalake.schema import PrimitiveType

    root = tmp_path / "t"
    key = Field("id", PrimitiveType("long"), nullable=False, metadata={"comment": "the key"})
    DeltaTable.create(root, Schema([key, Field("x", PrimitiveType("integer"))]))
    table = Table("t", root)
    before = table.log.snapshot()
    rows = pa.table({"x": pa.array([5], pa.int64()), "id": pa.array([1], pa.uint8()), "y": [1.5]})
    replace_rows(table, before, rows.to_reader(), BY, now_ms=NOW)
    after, found = read_version(table)
    assert after.metadata.schema["fields"][:2] == before.metadata.schema["fields"]
    assert found.to_pylist() == [{"id": 1, "x": 5, "y": 1.5}]
    for bad, why in [
        (pa.table({"id": [None], "x": [1], "y": [1.0]}), "no nulls"),
        (pa.table({"id": [1], "x": [1 << 40], "y": [1.0]}), "'x' of type int32"),
        (pa.table({"id": [1], "y": [1.0]}), "lack column 'x'"),
        (pa.table({"id": [1], "x": [1], "y": [1.0], "X": [1]}), "'x' and 'X'"),
    ]:
        files = files_in(root)
        with pytest.raises(UsageError, match=why):
            replace_rows(table, after, bad.to_reader(), BY, now_ms=NOW)
        assert files_in(root) == files


def test_a_stale_base_is_a_conflict_and_changes_nothing(tmp_path: Path) -> None:
    table = create(tmp_path / "housing", housing())
    base = table.log.snapshot()
    write_deltalake(table.root, housing(3), mode="append")
    files = files_in(table.root)
    with pytest.raises(ConflictError, match="somebody wrote version 1 of 'housing' meanwhile"):
        replace_rows(table, base, housing().to_reader(), BY, now_ms=NOW)
    with pytest.raises(ConflictError, match="somebody wrote version 1 of 'housing' meanwhile"):
        fill_column(table, base, "medv", pa.array([0.0] * 506), BY, now_ms=NOW)
    assert files_in(table.root) == files


def test_a_write_between_reading_and_committing_is_a_conflict(tmp_path: Path) -> None:
    table = create(tmp_path / "housing", housing())

    def batches() -> Iterator[pa.RecordBatch]:
        write_deltalake(table.root, housing(3), mode="append")
        yield from housing(10).to_batches()

    reader = pa.RecordBatchReader.from_batches(housing().schema, batches())
    with pytest.raises(ConflictError, match="version 1"):
        replace_rows(table, table.log.snapshot(), reader, BY, now_ms=NOW)
    snapshot, rows = read_version(table)
    assert (snapshot.version, rows.num_rows) == (1, 509)
    assert {name for name in files_in(table.root) if name.endswith(".parquet")} == {
        file.path for file in snapshot.files
    }


def test_times_without_a_zone_are_refused_where_the_protocol_lacks_them(tmp_path: Path) -> None:
    table = create(tmp_path / "housing", housing(2))
    times = pa.array([0, 1], pa.timestamp("us"))
    with pytest.raises(OutsideError, match="without a zone"):
        fill_column(table, table.log.snapshot(), "when", times, BY, now_ms=NOW)
    assert table.log.head() == 0
    fill_column(table, table.log.snapshot(), "when", times.cast(pa.timestamp("ns", "UTC")), BY, now_ms=NOW)
    assert read_version(table)[1].schema.field("when").type == pa.timestamp("us", "UTC")


# --- fill ---


def test_fill_changes_only_the_nulls_and_keeps_the_order(make_table: MakeTable) -> None:
    rows = housing()
    table = make_table(rows.slice(0, 200), rows.slice(200, 100), rows.slice(300), order=("crim",))
    base, before = read_version(Table(table.name, table.root))
    values = pa.chunked_array([pa.array([-1.0] * 250), pa.array([-2.0] * 255 + [None])])
    assert fill_column(table, base, "medv", values, BY, now_ms=NOW) == 3
    after, found = read_version(Table(table.name, table.root))
    assert found.select(["id", "crim"]).equals(before.select(["id", "crim"]))
    expected = [
        given if old is None else old
        for old, given in zip(before.column("medv").to_pylist(), values.to_pylist(), strict=True)
    ]
    assert found.column("medv").to_pylist() == expected
    assert after.metadata == base.metadata
    assert [file.modified for file in after.files] == [NOW]


def test_fill_keeps_every_bit_of_the_other_columns(tmp_path: Path) -> None:
    import struct

    payload = struct.unpack("<d", struct.pack("<Q", 0x7FF800000000BEEF))[0]
    rows = pa.table(
        {
            "x": pa.array([-0.0, payload, float("-inf")]),
            "b": pa.array([b"\xff\x00", None, b""]),
            "s": [{"a": [1, None]}, None, {"a": []}],
            "m": pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64())),
            "t": pa.array([0, -1, None], pa.timestamp("us", "UTC")),
            "y": pa.array([None, 1.0, float("nan")]),
        }
    )
    table = create(tmp_path / "t", rows)
    fill_column(table, table.log.snapshot(), "y", pa.array([9.0, 8.0, 7.0]), BY, now_ms=NOW)
    _, found = read_version(table)
    assert found.column("x").combine_chunks().buffers()[1].to_pybytes()[:24] == struct.pack(
        "<ddd", -0.0, payload, float("-inf")
    )
    assert found.drop(["x", "y"]).equals(rows.drop(["x", "y"]))
    assert [str(value) for value in found.column("y").to_pylist()] == ["9.0", "1.0", "nan"]


def test_fill_adds_a_column_that_is_not_there(tmp_path: Path) -> None:
    table = create(tmp_path / "housing", housing(4, 1))
    values = pa.array(["a", None, "b", "a"]).dictionary_encode()
    assert fill_column(table, table.log.snapshot(), "guess", values, BY, now_ms=NOW) == 1
    snapshot, rows = read_version(table)
    assert rows.column("guess").to_pylist() == ["a", None, "b", "a"]
    assert snapshot.metadata.schema["fields"][-1] == {
        "name": "guess",
        "type": "string",
        "nullable": True,
        "metadata": {},
    }


@pytest.mark.parametrize(
    ("column", "values", "why"),
    [
        ("n", pa.array([None, 23.79]), "double do not fit column 'n' of type int64"),
        ("n", pa.array([None, "7"]), "string do not fit column 'n'"),
        ("f", pa.array([None, 0.1]), "do not fit column 'f' of type float"),
        ("n", pa.array([1]), "fewer values"),
        ("n", pa.array([1, 2, 3]), "more values"),
        ("n", pa.array([1, None]), "nothing to fill"),
        ("N", pa.array([1, 2]), "'n' and 'N'"),
        ("", pa.array([1, 2]), "no name"),
        ("t", pa.array([1, 2], pa.time64("us")), "time64"),
    ],
)
def test_fill_refuses_values_that_do_not_fit(tmp_path: Path, column: str, values: pa.Array, why: str) -> None:
    rows = pa.table({"n": pa.array([1, None]), "f": pa.array([1, None], pa.float32())})
    table = create(tmp_path / "t", rows)
    files = files_in(table.root)
    with pytest.raises(UsageError, match=why):
        fill_column(table, table.log.snapshot(), column, values, BY, now_ms=NOW)
    assert files_in(table.root) == files


def test_only_values_that_are_used_must_fit(tmp_path: Path) -> None:
    table = create(tmp_path / "t", pa.table({"n": pa.array([1, None])}))
    fill_column(table, table.log.snapshot(), "n", pa.array([1.5, 2.0]), BY, now_ms=NOW)
    assert read_version(table)[1].column("n").to_pylist() == [1, 2]


def test_a_hint_names_another_column(tmp_path: Path) -> None:
    table = create(tmp_path / "t", pa.table({"n": pa.array([1, None])}))
    with pytest.raises(UsageError) as caught:
        fill_column(table, table.log.snapshot(), "n", pa.array([1.5, 2.5]), BY, now_ms=NOW)
    assert "'n_predicted'" in (caught.value.hint or "")


def test_fill_keeps_partitions(make_table: MakeTable) -> None:
    rows = pa.table({"id": [1, 2, 3, 4], "p": ["a b", None, "a b", "%/="], "x": pa.array([1.0, None, None, 4.0])})
    table = make_table(rows, partition_by=["p"])
    base, before = read_version(table)
    fill_column(table, base, "x", pa.array([0.5] * 4), BY, now_ms=NOW)
    after, found = read_version(table)
    assert found.select(["id", "p"]).equals(before.select(["id", "p"]))
    assert found.column("x").null_count == 0
    assert sorted(str(f.partition) for f in after.files) == sorted(str(f.partition) for f in base.files)
    assert DeltaTable(table.root).to_pyarrow_table().sort_by("id").column("p").to_pylist() == [
        "a b",
        None,
        "a b",
        "%/=",
    ]
    with pytest.raises(OutsideError, match="partition column"):
        fill_column(table, after, "p", pa.array(["x"] * 4), BY, now_ms=NOW)
    with pytest.raises(OutsideError, match="partitioned"):
        replace_rows(table, after, rows.to_reader(), BY, now_ms=NOW)


def test_fill_reads_files_that_lack_a_newer_column(make_table: MakeTable) -> None:
    table = make_table(pa.table({"id": [1]}), pa.table({"id": [2], "x": [7]}), schema_mode="merge")
    fill_column(table, table.log.snapshot(), "x", pa.array([5, 6]), BY, now_ms=NOW)
    assert read_version(table)[1].to_pylist() == [{"id": 1, "x": 5}, {"id": 2, "x": 7}]


# --- refusals ---


@pytest.mark.parametrize(
    ("configuration", "why"),
    [
        ({"delta.appendOnly": "true"}, "append-only"),
        ({"delta.enableChangeDataFeed": "true"}, "change data feed"),
    ],
)
def test_settings_that_lin_does_not_honour_are_refused(
    make_table: MakeTable, configuration: dict[str, str], why: str
) -> None:
    table = make_table(housing(), configuration=configuration)
    with pytest.raises(OutsideError, match=why):
        fill_column(table, table.log.snapshot(), "medv", pa.array([0.0] * 506), BY, now_ms=NOW)
    assert table.log.head() == 0


def test_constraints_are_refused(make_table: MakeTable) -> None:
    table = make_table(housing())
    DeltaTable(table.root).alter.add_constraint({"positive": "id >= 0"})
    with pytest.raises(OutsideError, match="check constraint 'positive'"):
        replace_rows(table, table.log.snapshot(), housing().to_reader(), BY, now_ms=NOW)


@pytest.mark.parametrize(
    ("protocol", "metadata", "why"),
    [
        (
            {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["rowTracking"]},
            {},
            "rowTracking",
        ),
        ({"minReaderVersion": 1, "minWriterVersion": 8}, {}, "version 8"),
        (None, {"delta.generationExpression": "1"}, "is generated"),
        (None, {"delta.identity.start": 1}, "identity"),
        (None, {"delta.invariants": "{}"}, "invariant"),
    ],
)
def test_features_in_the_log_are_refused(
    make_table: MakeTable, protocol: dict[str, object] | None, metadata: dict[str, object], why: str
) -> None:
    table = make_table(housing())
    commit = table.log.folder / f"{0:020d}.json"
    actions = [json.loads(line) for line in commit.read_text().splitlines()]
    for action in actions:
        if "protocol" in action and protocol:
            action["protocol"] = protocol
        if "metaData" in action:
            schema = json.loads(action["metaData"]["schemaString"])
            schema["fields"][1]["metadata"] = metadata
            action["metaData"]["schemaString"] = json.dumps(schema)
    commit.write_text("\n".join(json.dumps(action) for action in actions))
    with pytest.raises(OutsideError, match=why):
        replace_rows(table, table.log.snapshot(), housing().to_reader(), BY, now_ms=NOW)


# --- after the commit ---


def test_check_commit_knows_ours_and_its_files(tmp_path: Path) -> None:
    table = create(tmp_path / "housing", housing())
    keys = table.log.snapshot().keys
    check_commit(table, 0, keys, BY)
    with pytest.raises(OutsideError, match="other files"):
        check_commit(table, 0, keys | {("more.parquet", None)}, BY)
    with pytest.raises(ConflictError):
        check_commit(table, 0, keys, Attribution(run="another", user="u", reason="r", lin="1"))


def test_an_fsync_that_fails_is_told(tmp_path: Path) -> None:
    table = create(tmp_path / "housing", housing())
    (table.root / table.log.snapshot().files[0].path).unlink()
    with pytest.raises(OutsideError, match="may not be on disk"):
        sync_commit(table.root, 0)


@pytest.mark.parametrize("folder_exists", [False, True])
def test_what_is_acknowledged_was_synced_before(tmp_path: Path, folder_exists: bool) -> None:
    if not (strace := _strace()):
        pytest.skip("there is no strace here")
    script = (
        "import sys, pyarrow as pa; from pathlib import Path\n"
        "from lin.data.commit import Attribution; from lin.data.write import create_table\n"
        "by = Attribution(run='r', user='u', reason='r', lin='1')\n"
        "create_table(Path(sys.argv[1]), pa.table({'id': [1]}).to_reader(), by, now_ms=0)\n"
        "print('TOLD')\n"
    )
    if folder_exists:
        (tmp_path / "made" / "t").mkdir(parents=True)
    log = tmp_path / "strace"
    options = [strace, "-f", "-y", "-e", "trace=fsync,write,link,linkat,rename,renameat2", "-o", str(log)]
    command = [*options, sys.executable, "-c", script, str(tmp_path / "made" / "t")]
    subprocess.run(command, check=True, capture_output=True)
    lines = log.read_text().splitlines()
    synced = [line for line in lines if "fsync(" in line]
    end = next(i for i, line in enumerate(lines) if "TOLD" in line)
    parts = ["snappy.parquet>", f"{0:020d}.json>", "_delta_log>", "/made/t>", "/made>"]
    for part in [*parts, *([] if folder_exists else [f"{tmp_path}>"])]:
        assert any(part in line for line in synced), part
    order = [i for i, line in enumerate(lines) if "fsync(" in line]
    assert max(order) < end
    committed = next(i for i, line in enumerate(lines) if ("link" in line or "rename" in line) and ".json" in line)
    assert any(i < committed and "snappy.parquet>" in lines[i] for i in order)
    assert any(i < committed and "/made/t>" in lines[i] for i in order)


def _strace() -> str | None:
    from shutil import which

    return which("strace")


# --- types ---


def test_every_type_becomes_one_that_delta_has() -> None:
    for kind, expected in {
        pa.uint8(): pa.int16(),
        pa.uint32(): pa.int64(),
        pa.uint64(): pa.decimal128(20, 0),
        pa.float16(): pa.float32(),
        pa.null(): pa.string(),
        pa.dictionary(pa.int8(), pa.large_string()): pa.string(),
        pa.list_(pa.uint8()): pa.list_(pa.field("element", pa.int16())),
        pa.struct([("a", pa.large_binary())]): pa.struct([("a", pa.binary())]),
        pa.timestamp("s", "Europe/Berlin"): pa.timestamp("us", "UTC"),
        pa.timestamp("ns"): pa.timestamp("us"),
    }.items():
        assert delta_type(kind, "c") == expected
        assert delta_type(expected, "c") == expected
    for kind in (
        pa.time64("us"),
        pa.duration("s"),
        pa.struct([]),
        pa.decimal256(50, 2),
        pa.list_(pa.time32("s")),
    ):
        with pytest.raises(UsageError, match="column 'c'"):
            delta_type(kind, "c")


def test_a_cast_is_exact_or_refused() -> None:
    assert cast_exactly(pa.array([1.0, float("nan")]), pa.float32(), "c").type == pa.float32()
    assert cast_exactly(pa.array([2**53]), pa.float64(), "c").to_pylist() == [2.0**53]
    for values, kind in [
        (pa.array([2**53 + 1]), pa.float64()),
        (pa.array([0.1]), pa.float32()),
        (pa.array([1e300]), pa.float32()),
        (pa.array([float("nan")]), pa.int64()),
        (pa.array([1.5]), pa.int64()),
        (pa.array(["1"]), pa.int64()),
        (pa.array([1]), pa.string()),
        (pa.array([True]), pa.int64()),
        (pa.array([1001], pa.timestamp("ns")), pa.timestamp("us")),
    ]:
        with pytest.raises(UsageError, match="without loss"):
            cast_exactly(values, kind, "c")


def test_parts_beyond_five_digits_stay_in_order(tmp_path: Path) -> None:
    parts = Parts(tmp_path, pa.schema([("n", pa.int64())]), NOW, rows_per_file=1)
    parts.write(pa.table({"n": [0]}).to_batches(), {})
    parts.adds *= 99_998  # as if so many had been written
    parts.write(pa.table({"n": range(4)}).to_batches(), {})
    keys = [(add.modification_time, add.path) for add in parts.adds[99_998:]]
    assert len(keys) == 4
    assert all(before < after for before, after in pairwise(keys))


# --- a column rewritten in batches ---


class Halved:
    """A column that takes half of another, and stops where told."""

    def __init__(self, name: str, kind: pa.DataType, *, fails: bool = False) -> None:
        self.field = pa.field(name, kind)
        self.fails = fails
        self.rows = 0

    def change(self, batch: pa.RecordBatch) -> pa.Array:
        import pyarrow.compute as pc

        self.rows += batch.num_rows
        return pc.divide(batch.column("crim"), 2.0)

    def finish(self) -> None:
        if self.fails:
            raise UsageError("no")


def test_a_column_is_rewritten_in_step_with_the_rows(make_table: MakeTable) -> None:
    table = make_table(housing(200, 0), housing(100_000, 50))
    base, before = read_version(table)
    pin = pin_version(table, base)
    halved = Halved("medv", pa.float64())
    written = rewrite_column(table, base, halved, BY, now_ms=NOW, pin=pin)
    after, found = read_version(table)
    assert (written.version, halved.rows) == (after.version, 100_200)
    assert found.select(["id", "crim"]).equals(before.select(["id", "crim"]))
    assert found.column("medv").to_pylist() == [n / 2 for n in before.column("crim").to_pylist()]
    assert written.digests == {file.path: file.sha256 for file in pin_version(table, after).files}


def test_a_column_that_is_not_to_be_leaves_the_table_as_it_was(tmp_path: Path) -> None:
    table = create(tmp_path / "housing", housing())
    files = files_in(table.root)
    with pytest.raises(UsageError, match="no"):
        rewrite_column(table, table.log.snapshot(), Halved("y", pa.float64(), fails=True), BY, now_ms=NOW)
    assert files_in(table.root) == files


def test_a_failure_while_a_batch_is_written_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    """The batches are written beside the making of the next: what goes wrong there is not lost."""
    batch = pa.RecordBatch.from_pydict({"n": ["x"]})
    for count in (1, 3):
        with (
            pytest.raises(ValueError, match="schema"),
            writing_parts(tmp_path, pa.schema([("n", pa.int64())]), NOW) as parts,
        ):
            parts.write([batch] * count, {})
        assert names(tmp_path) == []


def test_numbers_that_hardly_repeat_get_no_large_dictionary(tmp_path: Path) -> None:
    import random

    draw = random.Random(0)
    rows = pa.table({"x": [draw.random() for _ in range(60_000)], "s": [f"home {n % 9}" for n in range(60_000)]})
    (add,) = write_files(tmp_path, rows.to_reader(), modified=NOW)
    group = pq.ParquetFile(tmp_path / add.path).metadata.row_group(0)
    assert group.column(0).total_uncompressed_size < 60_000 * 8 * 1.1
    assert group.column(1).total_compressed_size < 60_000
