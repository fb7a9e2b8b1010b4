import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lin.data.log import require_readable
from lin.data.tables import Table
from lin.errors import NotFoundError, OutsideError


def commit_path(table: Table, version: int) -> Path:
    return table.root / "_delta_log" / f"{version:020d}.json"


def read_actions(table: Table, version: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in commit_path(table, version).read_text().splitlines()]


def write_actions(table: Table, version: int, actions: list[dict[str, Any]]) -> None:
    commit_path(table, version).write_text("".join(json.dumps(action) + "\n" for action in actions))


def change_action(table: Table, version: int, kind: str, **changes: Any) -> None:
    actions = read_actions(table, version)
    for action in actions:
        if kind in action:
            action[kind].update(changes)
    write_actions(table, version, actions)


def make_checkpoint(table: Table) -> Path:
    from deltalake import DeltaTable

    handle = DeltaTable(table.root)
    handle.create_checkpoint()
    return table.root / "_delta_log" / f"{handle.version():020d}.checkpoint.parquet"


def split_checkpoint(path: Path, parts: int) -> list[Path]:
    rows = pq.ParquetFile(path).read()
    path.unlink()
    size = -(-rows.num_rows // parts)
    paths = [path.with_name(f"{path.name[:-8]}.{n + 1:010d}.{parts:010d}.parquet") for n in range(parts)]
    for number, part in enumerate(paths):
        pq.write_table(rows.slice(number * size, size), part)
    return paths


def ids(*values: int) -> pa.Table:
    return pa.table({"id": list(values)})


@pytest.fixture
def table(make_table: Any) -> Table:
    """Four versions, one file and one row each."""
    return make_table(*(ids(n) for n in range(4)))


def test_versions_are_those_of_the_commits(table: Table) -> None:
    assert table.log.versions() == range(4)
    assert table.log.head() == 3
    assert [commit.version for commit in table.log.commits()] == [0, 1, 2, 3]


def test_a_folder_without_a_log_is_no_table(tmp_path: Path) -> None:
    table = Table("housing", tmp_path)
    assert not table.log.exists()
    with pytest.raises(NotFoundError, match="is not a Delta table") as caught:
        table.log.versions()
    assert caught.value.hint == "import a file as a table: lin add housing FILE.csv"


def test_a_snapshot_replays_adds_and_removes(table: Table) -> None:
    from deltalake import DeltaTable

    DeltaTable(table.root).delete("id = 1")
    before, after = table.log.snapshot(3), table.log.snapshot()
    assert [file.rows for file in before.files] == [1, 1, 1, 1]
    assert after.version == 4
    assert after.keys < before.keys
    assert len(after.keys) == 3
    assert after.metadata.columns == ["id"]
    assert (after.protocol.reader, after.protocol.reader_features) == (1, [])
    assert [len(table.log.snapshot(version).files) for version in range(5)] == [1, 2, 3, 4, 3]


def test_files_are_in_order_of_modification_time_then_path(table: Table) -> None:
    change_action(table, 0, "add", modificationTime=9, path="b.parquet")
    change_action(table, 1, "add", modificationTime=9, path="a.parquet")
    change_action(table, 2, "add", modificationTime=3, path="z.parquet")
    change_action(table, 3, "add", modificationTime=5, path="y.parquet")
    paths = [file.path for file in table.log.snapshot().files]
    assert paths == ["z.parquet", "y.parquet", "a.parquet", "b.parquet"]


def test_a_missing_version_is_told_with_those_that_exist(table: Table) -> None:
    for ask in (table.log.snapshot, table.log.commit):
        with pytest.raises(NotFoundError, match=r"no version 9; it has versions 0 to 3") as caught:
            ask(9)
        assert caught.value.hint == "lin history housing"
    with pytest.raises(NotFoundError, match="no version -1"):
        table.log.snapshot(-1)


def test_only_one_version_is_said_as_one(make_table: Any) -> None:
    with pytest.raises(NotFoundError, match="it has only version 0"):
        make_table(ids(1)).log.snapshot(1)


# --- checkpoints --------------------------------------------------------------------------------------------


def test_a_checkpoint_tells_the_same_as_the_commits(table: Table) -> None:
    told_by_commits = table.log.snapshot()
    make_checkpoint(table)
    commit_path(table, 2).rename(table.root / "kept")
    for version in (0, 1):
        commit_path(table, version).unlink()
    assert table.log.versions() == range(3, 4)
    told_by_checkpoint = table.log.snapshot()
    assert told_by_checkpoint.keys == told_by_commits.keys
    assert [file.rows for file in told_by_checkpoint.files] == [1, 1, 1, 1]
    assert told_by_checkpoint.metadata == told_by_commits.metadata
    assert [file.path for file in told_by_checkpoint.files] == [file.path for file in told_by_commits.files]


@pytest.mark.parametrize("parts", [2, 3])
def test_a_checkpoint_in_parts_is_read_whole(table: Table, parts: int) -> None:
    told_by_commits = table.log.snapshot()
    split_checkpoint(make_checkpoint(table), parts)
    for version in range(3):
        commit_path(table, version).unlink()
    assert table.log.snapshot().keys == told_by_commits.keys


def test_an_incomplete_checkpoint_is_not_used(table: Table) -> None:
    told_by_commits = table.log.snapshot()
    first, *_ = split_checkpoint(make_checkpoint(table), 3)
    first.unlink()
    assert table.log.snapshot().keys == told_by_commits.keys
    for version in range(3):
        commit_path(table, version).unlink()
    with pytest.raises(OutsideError, match=r"housing@3 can no longer be read: .* starts at version 3"):
        table.log.snapshot()


def test_parts_of_different_checkpoints_do_not_make_one(table: Table) -> None:
    whole = make_checkpoint(table)
    content = whole.read_bytes()
    whole.unlink()
    for name in ("1.3", "2.3", "1.2"):
        part, total = name.split(".")
        whole.with_name(f"{3:020d}.checkpoint.{int(part):010d}.{int(total):010d}.parquet").write_bytes(content)
    for version in range(3):
        commit_path(table, version).unlink()
    with pytest.raises(OutsideError, match="can no longer be read"):
        table.log.snapshot()


def test_a_log_that_starts_after_a_checkpoint_reads_from_it(make_table: Any) -> None:
    table = make_table(ids(0), ids(1))
    make_checkpoint(table)
    make_table(ids(2), ids(3))
    commit_path(table, 0).unlink()
    commit_path(table, 1).unlink()
    assert table.log.versions() == range(2, 4)
    assert [len(table.log.snapshot(version).files) for version in (1, 2, 3)] == [2, 3, 4]
    with pytest.raises(NotFoundError, match="it has versions 2 to 3"):
        table.log.snapshot(0)
    replayed = [(commit.version, len(files or ())) for commit, files in table.log.replay()]
    assert replayed == [(2, 3), (3, 4)]


def test_versions_before_the_first_checkpoint_replay_without_files(table: Table) -> None:
    make_checkpoint(table)
    commit_path(table, 0).unlink()
    replayed = [(commit.version, files and len(files)) for commit, files in table.log.replay()]
    assert replayed == [(1, None), (2, None), (3, 4)]
    with pytest.raises(OutsideError, match=r"housing@2 can no longer be read"):
        table.log.snapshot(2)


def test_a_damaged_checkpoint_is_named(table: Table) -> None:
    checkpoint = make_checkpoint(table)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-20])
    with pytest.raises(OutsideError, match=checkpoint.name):
        table.log.snapshot()


def test_a_checkpoint_that_keeps_its_files_elsewhere_is_refused(table: Table) -> None:
    checkpoint = make_checkpoint(table)
    rows = pq.ParquetFile(checkpoint).read()
    sidecar = [{"path": "x.parquet", "sizeInBytes": 1}, *[None] * (rows.num_rows - 1)]
    pq.write_table(rows.drop_columns("add").append_column("sidecar", pa.array(sidecar)), checkpoint)
    with pytest.raises(OutsideError, match="version 2 checkpoints"):
        table.log.snapshot()


def test_a_log_that_needs_a_version_2_checkpoint_is_refused(table: Table) -> None:
    checkpoint = make_checkpoint(table)
    uuid = "80a083e8-7026-4e79-81be-64bd76c43a11"
    checkpoint.rename(checkpoint.with_name(f"{3:020d}.checkpoint.{uuid}.parquet"))
    commit_path(table, 0).unlink()
    with pytest.raises(OutsideError, match="version 2 checkpoints"):
        table.log.snapshot()


# --- damage -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_an_empty_commit_is_refused(table: Table, content: bytes) -> None:
    commit_path(table, 1).write_bytes(content)
    with pytest.raises(OutsideError, match=r"0001\.json .*it is empty"):
        table.log.snapshot()
    assert len(table.log.snapshot(0).files) == 1


def test_a_torn_commit_is_refused(table: Table) -> None:
    path = commit_path(table, 3)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(OutsideError, match=r"0003\.json in its log cannot be read") as caught:
        table.log.snapshot()
    assert caught.value.hint == "restore that file from a backup of the table"


def test_a_missing_commit_in_the_middle_is_refused(table: Table) -> None:
    commit_path(table, 2).unlink()
    with pytest.raises(OutsideError, match=r"commit 0{19}2\.json is missing"):
        table.log.versions()


def test_a_newest_commit_that_only_a_checkpoint_remembers_is_refused(table: Table) -> None:
    make_checkpoint(table)
    commit_path(table, 3).unlink()
    with pytest.raises(OutsideError, match=r"commit 0{19}3\.json is missing"):
        table.log.head()


def test_a_commit_that_is_a_folder_is_refused(table: Table) -> None:
    commit_path(table, 1).unlink()
    commit_path(table, 1).mkdir()
    with pytest.raises(OutsideError, match=r"0001\.json in its log cannot be read"):
        table.log.snapshot()


@pytest.mark.parametrize(
    "changes",
    [
        {"size": "many"},
        {"size": -1},
        {"modificationTime": None},
        {"partitionValues": [1]},
        {"stats": "{"},
        {"stats": '{"numRecords": -3}'},
        {"stats": '{"numRecords": "3"}'},
        {"deletionVector": {"storageType": "u"}},
        {"path": "%ff.parquet"},
    ],
)
def test_an_action_that_misstates_its_facts_is_refused(table: Table, changes: dict[str, Any]) -> None:
    change_action(table, 1, "add", **changes)
    with pytest.raises(OutsideError, match=r"0001\.json in its log cannot be read"):
        table.log.snapshot()


@pytest.mark.parametrize("schema", ["{}", '{"type":"struct","fields":[{"name":"id"}]}', "[", '"long"'])
def test_a_schema_that_is_none_is_refused(table: Table, schema: str) -> None:
    change_action(table, 0, "metaData", schemaString=schema)
    with pytest.raises(OutsideError, match="schema is not one of Delta's"):
        table.log.snapshot()


def test_a_first_commit_without_a_schema_is_refused(table: Table) -> None:
    write_actions(table, 0, [action for action in read_actions(table, 0) if "metaData" not in action])
    with pytest.raises(OutsideError, match="no schema or protocol"):
        table.log.snapshot()


# --- paths --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "a/../../x",
        "/etc/passwd",
        "file:///etc/passwd",
        "file%3A///etc/passwd",
        "%2e%2e/x",
        "s3://bucket/x",
        "%2Fetc/passwd",
        "a%00b",
        "",
        ".",
    ],
)
@pytest.mark.parametrize("kind", ["add", "remove"])
def test_a_path_out_of_the_folder_is_refused(table: Table, path: str, kind: str) -> None:
    action = {"path": path, "size": 1, "modificationTime": 1, "partitionValues": {}, "dataChange": True}
    write_actions(table, 3, [{kind: action}])
    with pytest.raises(OutsideError, match="names a data file outside its own folder"):
        table.log.snapshot()


def test_a_checkpoint_is_no_way_around_the_check(table: Table) -> None:
    checkpoint = make_checkpoint(table)
    rows = pq.ParquetFile(checkpoint).read()
    hostile = [{**add, "path": "../x"} if add else None for add in rows.column("add").to_pylist()]
    changed = pa.array(hostile, rows.schema.field("add").type)
    pq.write_table(rows.set_column(rows.column_names.index("add"), "add", changed), checkpoint)
    with pytest.raises(OutsideError, match="outside its own folder"):
        table.log.snapshot()


def test_partition_paths_are_decoded_once(make_table: Any) -> None:
    values = ["a b", "a%20b", "é/ü:x"]
    part = pa.table({"id": [1, 2, 3], "d": values})
    table = make_table(part, partition_by=["d"])
    files = table.log.snapshot().files
    assert sorted(file.partition["d"] or "" for file in files) == sorted(values)
    assert all((table.root / file.path).is_file() for file in files)
    assert all("%" in file.path for file in files)


# --- what a commit says of itself ---------------------------------------------------------------------------


def test_a_commit_without_commit_info_keeps_its_number(table: Table) -> None:
    write_actions(table, 1, [action for action in read_actions(table, 1) if "commitInfo" not in action])
    commit = table.log.commit(1)
    assert (commit.version, commit.info, commit.time) == (1, {}, None)
    assert table.log.commit(2).time is not None


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"timestamp": 1_500}, "1970-01-01T00:00:01.500000+00:00"),
        ({"timestamp": 1_500, "inCommitTimestamp": 2_000}, "1970-01-01T00:00:02+00:00"),
        ({"timestamp": 10**30}, None),
        ({"timestamp": "yesterday"}, None),
        ({"timestamp": True}, None),
    ],
)
def test_the_time_is_what_the_writer_says(table: Table, info: dict[str, Any], expected: str | None) -> None:
    write_actions(table, 1, [{"commitInfo": info}])
    time = table.log.commit(1).time
    assert (time.isoformat() if time else None) == expected


def test_texts_of_a_commit_are_texts(table: Table) -> None:
    write_actions(table, 1, [{"commitInfo": {"a": 1, "b": "", "c": "see"}}])
    assert table.log.commit(1).text("a", "b", "c") == "see"
    assert table.log.commit(1).text("a", "d") is None


# --- what lin reads -----------------------------------------------------------------------------------------


def check(table: Table) -> None:
    require_readable(table.log, table.log.snapshot())


def test_a_plain_table_is_readable(table: Table) -> None:
    check(table)


@pytest.mark.parametrize("feature", ["timestampNtz", "v2Checkpoint", "columnMapping", "deletionVectors"])
def test_a_feature_that_is_not_in_use_does_no_harm(table: Table, feature: str) -> None:
    change_action(table, 0, "protocol", minReaderVersion=3, readerFeatures=[feature])
    check(table)


def test_an_unknown_feature_is_named(table: Table) -> None:
    change_action(table, 0, "protocol", minReaderVersion=3, readerFeatures=["timestampNtz", "variantType"])
    with pytest.raises(OutsideError, match="the feature 'variantType', which this lin does not read yet"):
        check(table)


def test_a_newer_reader_version_is_named(table: Table) -> None:
    change_action(table, 0, "protocol", minReaderVersion=4)
    with pytest.raises(OutsideError, match="reader version 4"):
        check(table)


def test_column_mapping_is_named(table: Table) -> None:
    change_action(table, 0, "metaData", configuration={"delta.columnMapping.mode": "name"})
    with pytest.raises(OutsideError, match=r"column mapping \(mode 'name'\)"):
        check(table)


def test_another_file_format_is_named(table: Table) -> None:
    change_action(table, 0, "metaData", format={"provider": "orc"})
    with pytest.raises(OutsideError, match="format 'orc'"):
        check(table)


def test_deletion_vectors_are_counted_and_named(table: Table) -> None:
    vector = {"storageType": "u", "pathOrInlineDv": "ab", "offset": 1, "sizeInBytes": 9, "cardinality": 1}
    added = next(action["add"] for action in read_actions(table, 2) if "add" in action)
    removed = {"path": added["path"], "dataChange": True}
    write_actions(table, 3, [{"remove": removed}, {"add": {**added, "deletionVector": vector}}])
    snapshot = table.log.snapshot()
    assert [(file.rows, file.vector) for file in snapshot.files][-1] == (0, "uab@1")
    assert len(snapshot.files) == 3
    with pytest.raises(OutsideError, match="uses deletion vectors"):
        check(table)
