import json
import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lin.data.checkpoints import complete_checkpoints, read_checkpoint
from lin.data.log import Snapshot, require_readable
from lin.data.tables import Table
from lin.errors import OutsideError

UUID = "80a083e8-7026-4e79-81be-64bd76c43a11"
FORMS = ["classic", "parts", "v2.json", "v2.parquet", "v2 classic"]


def log_path(table: Table, name: str) -> Path:
    return table.root / "_delta_log" / name


def commit_path(table: Table, version: int) -> Path:
    return log_path(table, f"{version:020d}.json")


def make_checkpoint(table: Table) -> Path:
    from deltalake import DeltaTable

    handle = DeltaTable(table.root)
    handle.create_checkpoint()
    log_path(table, "_last_checkpoint").write_text("{ this is not asked")
    return log_path(table, f"{handle.version():020d}.checkpoint.parquet")


def keep_only_newest(table: Table) -> None:
    """As log clean-up does: the commits before the newest one are gone."""
    for version in table.log.versions()[:-1]:
        commit_path(table, version).unlink()


def split_checkpoint(path: Path, parts: int) -> list[Path]:
    rows = pq.ParquetFile(path).read()
    path.unlink()
    size = -(-rows.num_rows // parts)
    paths = [path.with_name(f"{path.name[:-8]}.{n + 1:010d}.{parts:010d}.parquet") for n in range(parts)]
    for number, part in enumerate(paths):
        pq.write_table(rows.slice(number * size, size), part)
    return paths


def write_version_2(classic: Path, form: str, *, inline: bool = False) -> Path:
    """Turn a classic checkpoint into one of version 2, in the words of Spark, its data files in two sidecars."""
    rows = pq.ParquetFile(classic).read()
    classic.unlink()
    version = int(classic.name[:20])
    adds = rows.column("add").drop_null()
    actions: list[dict[str, Any]] = [{"checkpointMetadata": {"version": version, "tags": {}}}]
    for kind in ("metaData", "protocol"):
        found = rows.column(kind).drop_null().to_pylist(maps_as_pydicts="strict")
        actions += [{kind: {name: value for name, value in row.items() if value is not None}} for row in found]
    folder = classic.with_name("_sidecars")
    folder.mkdir()
    for number, part in enumerate([adds.slice(0, 1), adds.slice(1)]):
        sidecar = folder / f"{number}-{UUID}.parquet"
        if inline:
            actions += [{"add": add} for add in part.to_pylist(maps_as_pydicts="strict")]
            continue
        pq.write_table(pa.table({"add": part}), sidecar)
        found = {"path": sidecar.name, "sizeInBytes": sidecar.stat().st_size, "modificationTime": 1, "tags": {}}
        actions.append({"sidecar": found})
    return write_actions(classic, form, actions, rows.schema)


def write_actions(classic: Path, form: str, actions: list[dict[str, Any]], schema: pa.Schema) -> Path:
    names = {"v2.json": f".{UUID}.json", "v2.parquet": f".{UUID}.parquet", "v2 classic": ".parquet"}
    path = classic.with_name(classic.name.removesuffix(".parquet") + names[form])
    if path.suffix == ".json":
        path.write_text("".join(json.dumps(action) + "\n" for action in actions))
        return path
    sidecar = pa.struct(
        {"path": pa.string(), "sizeInBytes": pa.int64(), "modificationTime": pa.int64(), "tags": pa.map_("str", "str")}
    )
    marker = pa.struct({"version": pa.int64(), "tags": pa.map_(pa.string(), pa.string())})
    kinds = {"checkpointMetadata": marker, "sidecar": sidecar}
    kinds |= {name: schema.field(name).type for name in ("metaData", "protocol", "add")}
    columns = {name: pa.array([action.get(name) for action in actions], kind) for name, kind in kinds.items()}
    pq.write_table(pa.table(columns), path)
    return path


def allow_version_2(table: Table) -> None:
    """The protocol of a table with such checkpoints."""
    lines = commit_path(table, 0).read_text().splitlines()
    actions = [json.loads(line) for line in lines]
    features = ["v2Checkpoint"]
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features}
    for action in actions:
        if "protocol" in action:
            action["protocol"] = protocol
    commit_path(table, 0).write_text("".join(json.dumps(action) + "\n" for action in actions))


@pytest.fixture
def table(make_table: Any) -> Table:
    """Four versions of one file and one row each, with a partition column."""
    parts = (pa.table({"id": [n], "day": [f"d {n}"]}) for n in range(4))
    made: Table = make_table(*parts, partition_by=["day"])
    allow_version_2(made)
    return made


def write_form(table: Table, form: str) -> list[Path]:
    path = make_checkpoint(table)
    match form:
        case "classic":
            return [path]
        case "parts":
            return split_checkpoint(path, 3)
    made = write_version_2(path, form)
    return [made, *sorted(made.with_name("_sidecars").iterdir())]


def facts(snapshot: Snapshot) -> Any:
    return [(f.path, f.bytes, f.modified, f.partition, f.rows, f.vector, f.stats) for f in snapshot.files]


# --- the forms --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_every_form_tells_the_same_as_the_commits(table: Table, form: str) -> None:
    told_by_commits = table.log.snapshot()
    write_form(table, form)
    keep_only_newest(table)
    assert table.log.versions() == range(3, 4)
    told = table.log.snapshot()
    assert facts(told) == facts(told_by_commits)
    assert (told.metadata, told.protocol) == (told_by_commits.metadata, told_by_commits.protocol)
    require_readable(table.log, told)


@pytest.mark.parametrize("form", FORMS)
def test_delta_rs_reads_what_the_tests_write(table: Table, form: str) -> None:
    from deltalake import DeltaTable

    write_form(table, form)
    log_path(table, "_last_checkpoint").unlink()
    keep_only_newest(table)
    found = {Path(uri).name for uri in DeltaTable(table.root).file_uris()}
    assert found == {Path(file.path).name for file in table.log.snapshot().files}


@pytest.mark.parametrize("form", ["v2.json", "v2.parquet", "v2 classic"])
def test_a_version_2_checkpoint_may_hold_its_files_itself(table: Table, form: str) -> None:
    told_by_commits = table.log.snapshot()
    write_version_2(make_checkpoint(table), form, inline=True)
    keep_only_newest(table)
    assert facts(table.log.snapshot()) == facts(told_by_commits)


def test_any_sound_checkpoint_of_a_version_will_do(table: Table) -> None:
    told_by_commits = table.log.snapshot()
    (classic,) = write_form(table, "classic")
    content = classic.read_bytes()
    write_form(table, "v2.json")
    classic.write_bytes(content[: len(content) // 2])
    keep_only_newest(table)
    assert facts(table.log.snapshot()) == facts(told_by_commits)


def test_removed_files_are_given_where_they_are_asked_for(table: Table) -> None:
    from deltalake import DeltaTable

    gone = table.log.snapshot().files[0].path
    DeltaTable(table.root).delete("id = 0")
    (path,) = write_form(table, "classic")
    actions = read_checkpoint(path.parent, [path.name], removed=True)
    (removed,) = [action.remove for action in actions if action.remove]
    assert removed.path.replace("%2520", "%20") == gone
    assert removed.deletion_timestamp
    assert not any(action.remove for action in read_checkpoint(path.parent, [path.name]))


def test_removed_files_of_a_json_checkpoint_are_left_out(table: Table) -> None:
    path, *_ = write_form(table, "v2.json")
    with path.open("a") as stream:
        stream.write('{"remove": {"path": "gone", "deletionTimestamp": 7}}\n')
    assert not any(action.remove for action in read_checkpoint(path.parent, [path.name]))
    (removed,) = (action.remove for action in read_checkpoint(path.parent, [path.name], removed=True) if action.remove)
    assert (removed.path, removed.deletion_timestamp) == ("gone", 7)


def test_the_newest_checkpoint_is_where_reading_starts(make_table: Any) -> None:
    table = make_table(pa.table({"id": [0]}))
    make_checkpoint(table)
    for n in range(1, 4):
        make_table(pa.table({"id": [n]}))
    make_checkpoint(table)
    commit_path(table, 2).write_text("torn, and not asked")
    assert len(table.log.snapshot().files) == 4
    assert [len(snapshot.files) for snapshot in table.log.snapshots([1, 3]).values()] == [2, 4]
    with pytest.raises(OutsideError, match=r"0002\.json"):
        table.log.snapshot(2)


def test_names_that_are_no_checkpoint_are_passed_over() -> None:
    names = [
        f"{1:020d}.checkpoint.parquet",
        f"{2:020d}.checkpoint.{UUID}.json",
        f"{2:020d}.checkpoint.{UUID}.parquet",
        f"{2:020d}.checkpoint.parquet",
        f"{3:020d}.checkpoint.{1:010d}.{2:010d}.parquet",
        f"{3:020d}.checkpoint.{2:010d}.{2:010d}.parquet",
        f"{4:020d}.checkpoint.{1:010d}.{2:010d}.parquet",
        f"{4:020d}.checkpoint.{2:010d}.{3:010d}.parquet",
        f"{5:020d}.checkpoint.{0:010d}.{1:010d}.parquet",
        f"{6:020d}.checkpoint.{1:010d}.9999999999.parquet",
        f"{7:019d}.checkpoint.parquet",
        f"{8:020d}.checkpoint.parquet.tmp",
        f"{9:020d}.checkpoint.json",
        "٠" * 20 + ".checkpoint.parquet",
        "_last_checkpoint",
    ]
    found = complete_checkpoints(names)
    assert sorted(found) == [1, 2, 3]
    assert found[2][0] == [f"{2:020d}.checkpoint.parquet"]
    assert len(found[2]) == 3
    assert found[3] == [names[4:6]]


# --- deletion vectors and statistics ----------------------------------------------------------------------------------


def rewrite_adds(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change the fields of the data files of a classic checkpoint; none has a deletion vector before."""
    rows = pq.ParquetFile(path).read()
    adds = rows.column("add")
    found = pa.Table.from_struct_array(adds.drop_null())
    fields = change(found.drop_columns([name for name in found.column_names if name == "deletionVector"]))
    nullable = pa.schema([field.with_nullable(True) for field in fields.schema])
    changed = pa.Table.from_arrays(fields.columns, schema=nullable).to_struct_array().combine_chunks()
    numbers = iter(range(len(changed)))
    places = pa.array([next(numbers) if there else None for there in adds.is_valid().to_pylist()], pa.int64())
    pq.write_table(put(rows, "add", changed.take(places)), path)


def put(rows: pa.Table, name: str, column: pa.Array) -> pa.Table:
    """The rows with this column, in place of one of the same name."""
    return (rows.drop_columns(name) if name in rows.column_names else rows).append_column(name, column)


def test_deletion_vectors_come_through(table: Table) -> None:
    path = make_checkpoint(table)
    kind = pa.struct(
        {
            "storageType": pa.string(),
            "pathOrInlineDv": pa.string(),
            "offset": pa.int32(),
            "sizeInBytes": pa.int32(),
            "cardinality": pa.int64(),
            "maxRowIndex": pa.int64(),
        }
    )
    vector = {"storageType": "i", "pathOrInlineDv": "00000", "sizeInBytes": 4, "cardinality": 1}
    column = pa.array([None, vector, None, None], kind)

    rewrite_adds(path, lambda rows: put(rows, "deletionVector", column))
    files = table.log.snapshot().files
    assert sorted((f.rows, f.vector.id if f.vector else None) for f in files if f.rows == 0) == [(0, "i00000")]
    assert sum(f.vector is not None for f in files) == 1


def test_statistics_that_are_only_a_struct_become_text(table: Table) -> None:
    path = make_checkpoint(table)
    values = {
        "f": 1.5,
        "t": datetime(2024, 1, 2, 3, 4, 5, 678000, UTC),
        "n": datetime(2024, 1, 2, 3),  # noqa: DTZ001 - a timestamp without a zone
        "d": date(2024, 1, 2),
        "m": Decimal("12345678901234567890.123456789"),
        "nan": float("nan"),
    }
    stats = {"numRecords": 1, "minValues": {**values, "s": {"x": 3}}, "nullCount": {"f": 0}, "tightBounds": True}

    def change(rows: pa.Table) -> pa.Table:
        told = rows.column("stats").to_pylist()
        rows = put(rows, "stats", pa.array([None, *told[1:]], pa.string()))
        return put(rows, "stats_parsed", pa.array([stats, None, None, None]))

    rewrite_adds(path, change)
    keep_only_newest(table)
    files = table.log.snapshot().files
    assert [file.rows for file in files] == [1, 1, 1, 1]
    (text,) = (file.stats for file in files if file.stats and '"m"' in file.stats)
    assert text == (
        '{"numRecords":1,"minValues":{"f":1.5,"t":"2024-01-02T03:04:05.678000Z","n":"2024-01-02T03:00:00",'
        '"d":"2024-01-02","m":12345678901234567890.123456789,"nan":null,"s":{"x":3}},"nullCount":{"f":0},'
        '"tightBounds":true}'
    )


def test_a_file_without_statistics_has_no_count(table: Table) -> None:
    path = make_checkpoint(table)
    rewrite_adds(path, lambda rows: rows.drop_columns("stats"))
    keep_only_newest(table)
    assert [(file.rows, file.stats) for file in table.log.snapshot().files] == [(None, None)] * 4


# --- damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_a_torn_file_of_a_checkpoint_is_named(table: Table, form: str) -> None:
    told_by_commits = table.log.snapshot()
    torn = write_form(table, form)[-1]
    torn.write_bytes(torn.read_bytes()[:-20])
    assert facts(table.log.snapshot()) == facts(told_by_commits)  # the commits are all there
    keep_only_newest(table)
    with pytest.raises(OutsideError, match=torn.name) as caught:
        table.log.snapshot()
    assert caught.value.hint == "restore that file from a backup of the table"


def test_an_older_checkpoint_steps_in_for_a_damaged_one(make_table: Any) -> None:
    table = make_table(*(pa.table({"id": [n]}) for n in range(2)))
    make_checkpoint(table)
    table = make_table(*(pa.table({"id": [n]}) for n in range(2)))
    told_by_commits = table.log.snapshot()
    make_checkpoint(table).write_bytes(b"PAR1")
    for version in (0, 1):
        commit_path(table, version).unlink()
    assert facts(table.log.snapshot()) == facts(told_by_commits)
    assert [files and len(files) for _, files in table.log.replay()] == [3, 4]


@pytest.mark.parametrize("form", ["v2.json", "v2.parquet", "v2 classic"])
def test_a_missing_sidecar_is_named(table: Table, form: str) -> None:
    *_, sidecar = write_form(table, form)
    sidecar.unlink()
    keep_only_newest(table)
    with pytest.raises(OutsideError, match=rf"checkpoint.* cannot be read: {sidecar.name}: it is missing"):
        table.log.snapshot()


def test_a_sidecar_of_another_size_is_refused(table: Table) -> None:
    made, *_ = write_form(table, "v2.json")
    made.write_text(made.read_text().replace('"sizeInBytes": ', '"sizeInBytes": 9'))
    keep_only_newest(table)
    with pytest.raises(OutsideError, match=rf"{UUID}\.parquet: it has \d+ bytes, and its checkpoint says 9\d+"):
        table.log.snapshot()


@pytest.mark.parametrize("path", ["../x.parquet", "/etc/x.parquet", "..", "", "a%2Fb.parquet", "file:///x", "a%00b"])
def test_a_sidecar_elsewhere_is_refused(table: Table, path: str) -> None:
    made, *_ = write_form(table, "v2.json")
    lines = [json.loads(line) for line in made.read_text().splitlines()]
    for line in lines:
        if "sidecar" in line:
            line["sidecar"]["path"] = path
    made.write_text("".join(json.dumps(line) + "\n" for line in lines))
    keep_only_newest(table)
    with pytest.raises(OutsideError, match="lies outside _sidecars"):
        table.log.snapshot()


@pytest.mark.parametrize("kind", ["link", "folder is a link", "pipe"])
def test_a_sidecar_is_reached_through_no_link_and_waits_for_nobody(table: Table, tmp_path: Path, kind: str) -> None:
    *_, sidecar = write_form(table, "v2.json")
    moved = tmp_path / "moved"
    if kind == "folder is a link":
        sidecar.parent.rename(moved)
        sidecar.parent.symlink_to(moved)
    else:
        sidecar.rename(moved)
        os.mkfifo(sidecar) if kind == "pipe" else sidecar.symlink_to(moved)
    keep_only_newest(table)
    with pytest.raises(OutsideError, match=r"symbolic link|not a regular file"):
        table.log.snapshot()


def hostile(rows: pa.Table, what: str) -> pa.Table:
    """The data files with one field of another content, or without it where there is none to give."""
    contents = {
        "path": ["../x"],
        "no path": pa.array([None], pa.string()),
        "negative size": [-1],
        "size": ["many"],
        "stats": ["{"],
        "partitionValues": [3],
        "deletionVector": [{"storageType": 3}],
    }
    name = {"no path": "path", "negative size": "size"}.get(what, what)
    if what not in contents:
        return rows.drop_columns(name)
    return put(rows, name, pa.concat_arrays([pa.array(contents[what])] * rows.num_rows))


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("path", "outside its own folder"),
        ("no path", "has no path"),
        ("negative size", "negative size"),
        ("size", "many"),
        ("stats", "statistics"),
        ("partitionValues", "checkpoint"),
        ("deletionVector", "storageType"),
        ("modificationTime", "has no modificationTime"),
    ],
)
def test_a_checkpoint_that_misstates_its_facts_is_refused(table: Table, what: str, why: str) -> None:
    path = make_checkpoint(table)
    rewrite_adds(path, lambda rows: hostile(rows, what))
    keep_only_newest(table)
    with pytest.raises(OutsideError, match=why):
        table.log.snapshot()


def test_a_checkpoint_without_a_schema_is_refused(table: Table) -> None:
    path = make_checkpoint(table)
    rows = pq.ParquetFile(path).read()
    pq.write_table(rows.filter(rows.column("metaData").is_null()), path)
    keep_only_newest(table)
    with pytest.raises(OutsideError, match=rf"{path.name} .* no schema or protocol in it"):
        table.log.snapshot()


def test_a_checkpoint_is_no_way_around_the_check_of_paths(table: Table) -> None:
    path = make_checkpoint(table)
    rewrite_adds(path, lambda rows: hostile(rows, "path"))
    with pytest.raises(OutsideError, match="outside its own folder"):  # though the commits are all there
        table.log.snapshot()
