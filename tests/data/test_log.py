import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.data.log import READABLE_FEATURES, require_readable
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
    made: Table = make_table(*(ids(n) for n in range(4)))
    return made


def test_versions_are_those_of_the_commits(table: Table) -> None:
    assert table.log.versions() == range(4)
    assert table.log.head() == 3
    assert [commit.version for commit in table.log.commits()] == [0, 1, 2, 3]


def test_a_folder_without_a_log_is_no_table(tmp_path: Path) -> None:
    table = Table("housing", tmp_path)
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


# --- several versions at once -------------------------------------------------------------------------------


def test_several_versions_are_those_that_each_would_be(table: Table) -> None:
    make_checkpoint(table)
    found = table.log.snapshots([2, 0, 3, 2])
    assert sorted(found) == [0, 2, 3]
    assert all(snapshot == table.log.snapshot(version) for version, snapshot in found.items())
    with pytest.raises(NotFoundError, match="no version 4"):
        table.log.snapshots([0, 4])
    assert table.log.snapshots([]) == {}


SCHEMA = {"type": "struct", "fields": [{"name": "id", "type": "long", "nullable": True, "metadata": {}}]}
CREATED: list[dict[str, Any]] = [
    {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
    {"metaData": {"id": "x", "schemaString": json.dumps(SCHEMA), "partitionColumns": [], "configuration": {}}},
]
FILES = st.dictionaries(st.sampled_from("abcd"), st.sampled_from([None, "00000", "00001"])).map(
    lambda d: set(d.items())
)
"""The files of a version: paths, each with a deletion vector or none; no version has one path twice."""


def file_action(kind: str, path: str, inline: str | None) -> dict[str, Any]:
    action: dict[str, Any] = {"path": path, "size": 1, "modificationTime": 1, "partitionValues": {}, "dataChange": True}
    if inline:
        vector = {"storageType": "i", "pathOrInlineDv": inline, "sizeInBytes": 4, "cardinality": 1}
        action["deletionVector"] = vector
    return {kind: action}


@settings(max_examples=30, deadline=None)
@given(st.lists(FILES, min_size=1, max_size=8), st.data())
def test_a_snapshot_is_what_the_commits_leave(versions: list[set[Any]], data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        table = Table("housing", Path(folder))
        (table.root / "_delta_log").mkdir()
        before: set[Any] = set()
        for number, after in enumerate(versions):
            actions = [file_action("add", *file) for file in after - before]
            actions += [file_action("remove", *file) for file in before - after]
            actions = [*data.draw(st.permutations(actions)), {"commitInfo": {}}]
            write_actions(table, number, CREATED + actions if number == 0 else actions)
            before = after
        expected = [{(path, inline and f"i{inline}") for path, inline in files} for files in versions]
        assert [{file.key for file in files or ()} for _, files in table.log.replay()] == expected
        wanted = data.draw(st.sets(st.integers(0, len(versions) - 1), min_size=1))
        found = table.log.snapshots(wanted)
        assert {version: snapshot.keys for version, snapshot in found.items()} == {n: expected[n] for n in wanted}


# --- what others write --------------------------------------------------------------------------------------


def test_actions_that_say_nothing_of_rows_are_passed_over(table: Table) -> None:
    told_before = table.log.snapshot()
    others: list[dict[str, Any]] = [
        {"txn": {"appId": "x", "version": 1, "lastUpdated": 3}},
        {"domainMetadata": {"domain": "delta.rowTracking", "configuration": "{}", "removed": False}},
        {"cdc": {"path": "_change_data/x.parquet", "size": 1, "partitionValues": {}, "dataChange": False}},
        {"something": {"new": True}},
        {},
    ]
    write_actions(table, 2, read_actions(table, 2) + others)
    assert table.log.snapshot() == told_before


def test_a_compacted_log_is_left_alone(table: Table) -> None:
    told_before = table.log.snapshot()
    compacted = table.log.folder / f"{1:020d}.{2:020d}.compacted.json"
    compacted.write_text('{"remove": {"path": "lies"}}')
    assert table.log.snapshot() == told_before
    assert table.log.versions() == range(4)
    commit_path(table, 1).unlink()
    with pytest.raises(OutsideError, match=r"commit 0{19}1\.json is missing"):
        table.log.snapshot()


def test_names_that_are_no_commit_are_passed_over(table: Table) -> None:
    for name in (f"{4:019d}.json", f"{4:021d}.json", f"{4:020d}.JSON", f"{4:020d}.json.tmp", f"{4:020d}.crc"):
        (table.log.folder / name).write_text("?")
    (table.log.folder / ("٠" * 20 + ".json")).write_text("?")
    assert table.log.versions() == range(4)


def test_a_version_far_ahead_is_a_gap_and_costs_nothing(table: Table) -> None:
    (table.log.folder / f"{'9' * 20}.json").write_text("{}")
    with pytest.raises(OutsideError, match=r"commit 0{19}4\.json is missing"):
        table.log.head()


def test_a_long_line_is_a_line(table: Table) -> None:
    actions = read_actions(table, 3)
    write_actions(table, 3, [{"commitInfo": {"note": "x" * 5_000_000}}, *actions])
    assert len(table.log.snapshot().files) == 4


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\n\n"])
def test_lines_end_as_they_like(table: Table, ending: bytes) -> None:
    told_before = table.log.snapshot()
    path = commit_path(table, 3)
    path.write_bytes(path.read_bytes().rstrip().replace(b"\n", ending))
    assert table.log.snapshot() == told_before


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf{}", b"{}{}", b"[]", b"\xff", b"{" * 5000, b"null"])
def test_a_line_that_is_no_action_is_refused(table: Table, content: bytes) -> None:
    commit_path(table, 3).write_bytes(content + b"\n")
    with pytest.raises(OutsideError, match=r"0003\.json in its log cannot be read"):
        table.log.snapshot()


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_commit_is_a_regular_file(table: Table, tmp_path: Path, kind: str) -> None:
    path = commit_path(table, 2)
    path.rename(tmp_path / "moved")
    os.mkfifo(path) if kind == "pipe" else path.symlink_to(tmp_path / "moved")
    with pytest.raises(OutsideError, match=r"0002\.json .* (?:symbolic link|not a regular file)"):
        table.log.snapshot()


def test_a_log_that_is_a_link_is_refused(table: Table, tmp_path: Path) -> None:
    table.log.folder.rename(tmp_path / "moved")
    table.log.folder.symlink_to(tmp_path / "moved")
    with pytest.raises(OutsideError, match="_delta_log is a symbolic link"):
        table.log.snapshot()


@pytest.mark.parametrize(
    "kind",
    [
        {"name": "ID", "type": "long"},
        {"name": "s", "type": {"type": "array", "elementType": {"type": "struct", "fields": [{}, {}]}}},
        {"name": "s", "type": {"type": "map", "keyType": "long", "valueType": {"type": "struct", "fields": [{}, {}]}}},
    ],
)
def test_a_column_that_is_there_twice_is_refused(table: Table, kind: Any) -> None:
    text = json.dumps({"type": "struct", "fields": [{"name": "ID", "type": "long"}, kind]})
    text = text.replace("[{}, {}]", '[{"name": "x", "type": "long"}, {"name": "x", "type": "string"}]')
    change_action(table, 0, "metaData", schemaString=text)
    with pytest.raises(OutsideError, match=r"its schema has a column '(?:ID|x)' twice"):
        table.log.snapshot()


def test_a_file_that_is_added_and_removed_at_once_is_refused(table: Table) -> None:
    write_actions(table, 3, [file_action("remove", "a", None), file_action("add", "a", None)])
    with pytest.raises(OutsideError, match=r"0003\.json .*it adds and removes 'a' at once"):
        table.log.snapshot()


def test_a_file_that_is_added_again_is_there_once(table: Table) -> None:
    added = next(action for action in read_actions(table, 1) if "add" in action)
    write_actions(table, 3, [added, added])
    assert len(table.log.snapshot().files) == 3


def test_the_same_file_with_another_vector_is_another_file(table: Table) -> None:
    write_actions(table, 2, [file_action("add", "a", None)])
    write_actions(table, 3, [file_action("remove", "a", None), file_action("add", "a", "00000")])
    old, new = table.log.snapshot(2), table.log.snapshot(3)
    assert new.keys - old.keys == {("a", "i00000")}
    assert old.keys - new.keys == {("a", None)}
    (vector,) = (file.vector for file in new.files if file.vector)
    assert (vector.inline, vector.bytes, vector.rows) == ("00000", 4, 1)


@pytest.mark.parametrize(
    ("storage", "text", "why"),
    [
        ("p", "/etc/deletion_vector.bin", "outside its own folder"),
        ("p", "file:///etc/x", "outside its own folder"),
        ("u", "../" + "0" * 20, "outside its own folder"),
        ("u", "/" + "0" * 20, "outside its own folder"),
        ("u", "short", "does not name the file of a deletion vector"),
        ("x", "0" * 20, "the storage type 'x' of a deletion vector is unknown"),
    ],
)
@pytest.mark.parametrize("kind", ["add", "remove"])
def test_a_vector_out_of_the_folder_is_refused(table: Table, kind: str, storage: str, text: str, why: str) -> None:
    action = file_action(kind, "a", "00000")
    action[kind]["deletionVector"] |= {"storageType": storage, "pathOrInlineDv": text, "offset": 1}
    write_actions(table, 3, [action])
    with pytest.raises(OutsideError, match=why):
        table.log.snapshot()


def test_more_rows_deleted_than_there_are_is_refused(table: Table) -> None:
    action = file_action("add", "a", "00000")
    write_actions(table, 3, [action | {"add": {**action["add"], "stats": '{"numRecords":0}'}}])
    with pytest.raises(OutsideError, match="'a' has 0 rows, and 1 of them deleted"):
        table.log.snapshot()


def test_statistics_are_kept_as_they_are_written(table: Table) -> None:
    added = next(action["add"] for action in read_actions(table, 1) if "add" in action)
    assert next(file.stats for file in table.log.commit(1).adds) == added["stats"]


# --- what lin reads -----------------------------------------------------------------------------------------


def check(table: Table) -> None:
    require_readable(table.log, table.log.snapshot())


def test_a_plain_table_is_readable(table: Table) -> None:
    check(table)


@pytest.mark.parametrize("feature", sorted(READABLE_FEATURES))
def test_a_feature_that_is_known_is_read(table: Table, feature: str) -> None:
    change_action(table, 0, "protocol", minReaderVersion=3, readerFeatures=[feature])
    check(table)


@pytest.mark.parametrize("feature", ["variantType", "catalogManaged", "variantShredding-preview", "x"])
def test_an_unknown_feature_is_named(table: Table, feature: str) -> None:
    change_action(table, 0, "protocol", minReaderVersion=3, readerFeatures=["timestampNtz", feature])
    with pytest.raises(OutsideError, match=f"the feature '{feature}', which this lin does not read yet"):
        check(table)


def test_a_feature_for_writers_alone_is_none_of_ours(table: Table) -> None:
    features = ["rowTracking", "inCommitTimestamp"]
    change_action(table, 0, "protocol", minReaderVersion=3, readerFeatures=[], writerFeatures=features)
    check(table)


def test_a_newer_reader_version_is_named(table: Table) -> None:
    change_action(table, 0, "protocol", minReaderVersion=4)
    with pytest.raises(OutsideError, match="reader version 4"):
        check(table)


@pytest.mark.parametrize("mode", ["name", "id", "Name"])
@pytest.mark.parametrize(("reader", "features"), [(2, None), (3, ["columnMapping"])])
def test_column_mapping_is_read_where_the_protocol_has_it(
    table: Table, mode: str, reader: int, features: list[str] | None
) -> None:
    change_action(table, 0, "metaData", configuration={"delta.columnMapping.mode": mode})
    assert table.log.snapshot().metadata.mapping == mode.lower()
    with pytest.raises(OutsideError, match=rf"column mapping \(mode '{mode}'\) without naming it as a feature"):
        check(table)
    change_action(table, 0, "protocol", minReaderVersion=reader, readerFeatures=features)
    check(table)


def test_a_mapping_that_is_not_known_is_named(table: Table) -> None:
    assert table.log.snapshot().metadata.mapping == "none"
    change_action(table, 0, "metaData", configuration={"delta.columnMapping.mode": "fuzzy"})
    change_action(table, 0, "protocol", minReaderVersion=2)
    with pytest.raises(OutsideError, match=r"column mapping \(mode 'fuzzy'\), which"):
        check(table)
    with pytest.raises(OutsideError, match=r"column mapping \(mode 'fuzzy'\), which"):
        _ = table.log.snapshot().metadata.mapping


def test_another_file_format_is_named(table: Table) -> None:
    change_action(table, 0, "metaData", format={"provider": "orc"})
    with pytest.raises(OutsideError, match="format 'orc'"):
        check(table)


def test_deletion_vectors_are_read_where_the_protocol_has_them(table: Table) -> None:
    write_actions(table, 3, [file_action("add", "a", "00000")])
    with pytest.raises(OutsideError, match="deletion vectors without naming them as a feature"):
        check(table)
    change_action(table, 0, "protocol", minReaderVersion=3, readerFeatures=["deletionVectors"])
    check(table)
