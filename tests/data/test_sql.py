from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lin.data.log import AddFile, Metadata
from lin.data.read import read_version
from lin.data.sql import connect, filter_rows, literal, matching_positions, relation
from lin.data.tables import Table
from lin.errors import OutsideError, UsageError


def run(query: str) -> pa.Table:
    with connect() as connection:
        return connection.sql(query).to_arrow_table()


def rows_of(table: Table, *, positions: bool = False) -> pa.Table:
    snapshot = table.log.snapshot()
    return run(select(table.root, snapshot.files, snapshot.metadata, positions=positions))


def select(root: Path, files: list[AddFile], *arguments: Any, **options: Any) -> str:
    """A relation without deletion vectors, which any connection can read, of files as large as they are."""
    sizes = [(root / file.path).stat().st_size if (root / file.path).is_file() else 0 for file in files]
    whole = [msgspec.structs.replace(file, bytes=size) for file, size in zip(files, sizes, strict=True)]
    with connect() as connection:
        return relation(connection, root, whole, *arguments, **options)


def add(path: str, **partition: str | None) -> AddFile:
    return AddFile(path=path, bytes=0, modified=0, partition=partition, rows=None, data_change=True)


def metadata(partition_columns: tuple[str, ...] = (), **columns: Any) -> Metadata:
    fields = [{"name": name, "type": kind, "nullable": True, "metadata": {}} for name, kind in columns.items()]
    return Metadata(
        id="x",
        schema={"type": "struct", "fields": fields},
        partition_columns=list(partition_columns),
        configuration={},
    )


# --- the connection -----------------------------------------------------------------------------------------


def test_a_connection_is_in_utc_and_loads_nothing() -> None:
    wanted = [
        "TimeZone",
        "autoinstall_known_extensions",
        "autoload_known_extensions",
        "python_enable_replacements",
    ]
    settings = ", ".join(f"current_setting('{name}')::VARCHAR AS {name}" for name in wanted)
    assert list(run(f"SELECT {settings}").to_pylist()[0].values()) == ["UTC", "false", "false", "false"]


def test_a_connection_spills_under_its_memory_limit() -> None:
    with connect(memory="50MB") as connection:
        limit, folder = connection.sql(
            "SELECT current_setting('memory_limit'), current_setting('temp_directory')"
        ).fetchall()[0]
        assert limit == "47.6 MiB"
        assert "lin-duckdb-" in folder
        numbers = connection.sql("SELECT i, hash(i) AS h FROM range(4_000_000) t(i) ORDER BY h")
        assert numbers.limit(1, offset=3_999_999).to_arrow_table().num_rows == 1
    assert not Path(folder).exists()


@pytest.mark.parametrize("text", ["", "it's", "';--", "\\", "é\n", '"'])
def test_a_literal_says_what_it_was_given(text: str) -> None:
    assert run(f"SELECT {literal(text)} AS x").to_pylist() == [{"x": text}]


# --- relations ----------------------------------------------------------------------------------------------


def test_a_relation_has_the_rows_of_the_version(make_table: Any) -> None:
    first = pa.table({"id": [1, 2], "d": ["x", None], 'we"ird, col': [1.5, None]})
    second = pa.table({"id": [3], "d": ["x"], 'we"ird, col': [2.5]})
    table = make_table(first, second, partition_by=["d"])
    _, expected = read_version(table)
    assert rows_of(table).equals(expected)


def test_positions_number_the_files_and_the_rows_in_them(make_table: Any) -> None:
    table = make_table(pa.table({"id": [5, 6, 7]}), pa.table({"id": [8]}), pa.table({"id": [9, 10]}))
    rows = rows_of(table, positions=True)
    assert rows.schema.names == ["id", "_file", "_position"]
    assert rows.schema.field("_file").type == rows.schema.field("_position").type == pa.int64()
    assert rows.to_pydict() == {
        "id": [5, 6, 7, 8, 9, 10],
        "_file": [0, 0, 0, 1, 2, 2],
        "_position": [0, 1, 2, 0, 0, 1],
    }
    snapshot = table.log.snapshot()
    query = select(table.root, snapshot.files, snapshot.metadata, positions=True)
    assert run(f"SELECT id FROM ({query}) WHERE _file = 2 AND _position = 1").to_pylist() == [{"id": 10}]


def test_files_come_in_the_order_asked_for(make_table: Any) -> None:
    table = make_table(pa.table({"id": [1]}), pa.table({"id": [2]}))
    snapshot = table.log.snapshot()
    query = select(table.root, snapshot.files[::-1], snapshot.metadata, positions=True)
    assert run(query).to_pydict() == {"id": [2, 1], "_file": [0, 1], "_position": [0, 0]}


def test_columns_that_older_files_lack_are_null(make_table: Any) -> None:
    table = make_table(pa.table({"id": [1]}))
    make_table(pa.table({"id": [2], "new": ["x"]}), schema_mode="merge")
    assert rows_of(table).to_pylist() == [{"id": 1, "new": None}, {"id": 2, "new": "x"}]
    snapshot = table.log.snapshot()
    oldest = run(select(table.root, snapshot.files[:1], snapshot.metadata))
    assert oldest.to_pylist() == [{"id": 1, "new": None}]
    assert oldest.schema.field("new").type == pa.string()


def test_struct_fields_that_older_files_lack_are_null(make_table: Any) -> None:
    table = make_table(pa.table({"id": [1], "s": [{"x": 1}]}))
    make_table(pa.table({"id": [2], "s": [{"x": 2, "y": "q"}]}), schema_mode="merge")
    _, expected = read_version(table)
    assert expected.column("s").to_pylist() == [{"x": 1, "y": None}, {"x": 2, "y": "q"}]
    assert rows_of(table).column("s").to_pylist() == expected.column("s").to_pylist()


@pytest.mark.parametrize("positions", [False, True])
def test_no_files_make_an_empty_relation_of_the_same_types(make_table: Any, *, positions: bool) -> None:
    nested = pa.array([[{"x": [("k", b"v")]}]], pa.list_(pa.struct([("x", pa.map_(pa.string(), pa.binary()))])))
    table = make_table(pa.table({"id": [1], "n": nested}))
    snapshot = table.log.snapshot()
    empty = run(select(table.root, [], snapshot.metadata, positions=positions))
    assert empty.num_rows == 0
    assert empty.schema.equals(rows_of(table, positions=positions).schema)


@pytest.mark.parametrize("name", ["it's.parquet", "a b.parquet", "é.parquet", "x[1]*?.parquet", "back\\slash.parquet"])
def test_a_file_is_read_by_its_very_name(tmp_path: Path, name: str) -> None:
    pq.write_table(pa.table({"id": [1]}), tmp_path / name)
    for decoy in ("x1a.parquet", "x1zz.parquet"):
        pq.write_table(pa.table({"id": [666]}), tmp_path / decoy)
    assert run(select(tmp_path, [add(name)], metadata(id="long"))).to_pylist() == [{"id": 1}]


def test_a_name_that_duckdb_cannot_be_told_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1]}), tmp_path / "a\\*.parquet")
    with pytest.raises(OutsideError, match="wildcards and backslashes"):
        select(tmp_path, [add("a\\*.parquet")], metadata(id="long"))


def test_the_log_has_the_last_word_on_partition_values(tmp_path: Path) -> None:
    (tmp_path / "d=7").mkdir()
    for path in ("d=7/x.parquet", "d=7/y.parquet"):
        pq.write_table(pa.table({"id": [1], "d": [9]}), tmp_path / path)
    described = metadata(("d", "t"), id="long", d="integer", t="timestamp")
    files = [add("d=7/x.parquet", d="1", t="2020-01-01 00:00:00"), add("d=7/y.parquet", d=None, t=None)]
    rows = run(select(tmp_path, files, described))
    assert rows.column("d").to_pylist() == [1, None]
    assert [str(value) for value in rows.column("t").to_pylist()] == ["2020-01-01 00:00:00+00:00", "None"]
    assert rows.schema.types == [pa.int64(), pa.int32(), pa.timestamp("us", "UTC")]


def test_a_folder_says_nothing_of_the_rows_in_it(tmp_path: Path) -> None:
    (tmp_path / "id=7").mkdir()
    pq.write_table(pa.table({"id": [1]}), tmp_path / "id=7" / "x.parquet")
    assert run(select(tmp_path, [add("id=7/x.parquet")], metadata(id="long"))).to_pylist() == [{"id": 1}]


def test_a_partition_column_that_the_log_is_silent_on_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1]}), tmp_path / "x.parquet")
    with pytest.raises(OutsideError, match="no value for the partition column 'd'"):
        select(tmp_path, [add("x.parquet")], metadata(("d",), id="long", d="long"))


def test_old_timestamps_of_96_bits_are_in_utc(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    moment = datetime(2020, 1, 1, 1, tzinfo=UTC)
    old = pa.table({"t": pa.array([moment], pa.timestamp("us", "UTC"))})
    pq.write_table(old, tmp_path / "x.parquet", use_deprecated_int96_timestamps=True)
    assert run(select(tmp_path, [add("x.parquet")], metadata(t="timestamp"))).column("t").to_pylist() == [moment]


def test_what_lies_outside_is_not_reached(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    pq.write_table(pa.table({"id": [1]}), tmp_path / "x.parquet")
    (root / "link.parquet").symlink_to(tmp_path / "x.parquet")
    for path in ("../x.parquet", str(tmp_path / "x.parquet"), "link.parquet"):
        with pytest.raises(OutsideError, match="is refused"):
            select(root, [add(path)], metadata(id="long"))


def test_a_missing_or_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nonsense PAR1")
    for path, why in (("gone.parquet", "is missing"), ("bad.parquet", "cannot be read")):
        with pytest.raises(OutsideError, match=f"'{path}' of the table in .* {why}"):
            select(tmp_path, [add(path)], metadata(id="long"))


@pytest.mark.parametrize(
    ("stored", "declared", "message"),
    [
        ({"id": [1], "ID": [2]}, {"id": "long"}, "columns 'id' and 'ID'"),
        ({"ID": [2]}, {"id": "long"}, "a column 'ID' where the table has 'id'"),
        ({"id": ["x"]}, {"id": "long"}, "column 'id' as string, which is not the table's long"),
        ({"id": [1]}, {"id": "long", "Id": "long"}, "columns 'id' and 'Id'"),
        ({"id": [1]}, {"id": "long", "_FILE": "long"}, "a column '_FILE', a name that lin keeps"),
        ({"id": [1], "file_index": [7]}, {"id": "long"}, "'file_index', a name that DuckDB keeps"),
    ],
)
def test_columns_that_would_be_taken_for_others_are_refused(
    tmp_path: Path, stored: dict[str, Any], declared: dict[str, str], message: str
) -> None:
    pq.write_table(pa.table(stored), tmp_path / "x.parquet")
    with pytest.raises(OutsideError, match=message):
        select(tmp_path, [add("x.parquet")], metadata(**declared), positions=True)


# --- conditions ---------------------------------------------------------------------------------------------

ROWS = pa.table({"id": [3, 1, 2, 5], "medv": [1.0, None, 3.0, 4.0], 'the "name"': ["é", "b", "", None]})


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("medv is not null", [3, 2, 5]),
        ("medv > 2", [2, 5]),
        ("MEDV > 2 and id < 5", [2]),
        ('"the ""name""" = \'é\'', [3]),
        ("id in (select max(id) from rows)", [5]),
        ("rows.id = 1", [1]),
        ("true", [3, 1, 2, 5]),
        ("null", []),
        ("id = 2 -- ) the end", [2]),
        ("'a);' is not null", [3, 1, 2, 5]),
        ("hash(columns(*)) is not null", [3, 1, 2, 5]),
    ],
)
def test_rows_are_kept_in_their_order_where_the_condition_is_true(where: str, kept: list[int]) -> None:
    assert filter_rows(ROWS, where).column("id").to_pylist() == kept
    assert ROWS.column("id").to_numpy()[matching_positions(ROWS, where)].tolist() == kept


def test_order_holds_in_large_tables() -> None:
    rows = pa.table({"id": pa.chunked_array([range(n * 90_000, (n + 1) * 90_000) for n in range(5)])})
    assert filter_rows(rows, "id % 3 = 1").column("id").to_pylist() == list(range(1, 450_000, 3))


def test_no_rows_stay_no_rows() -> None:
    assert filter_rows(ROWS.slice(0, 0), "id = 1").equals(ROWS.slice(0, 0))


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("", "it is empty"),
        ("id = 1) or (1 = 1", "not one expression"),
        ("'é' = 'é' ) or (1 = 1", "not one expression"),
        ("true; drop table rows", "not one expression"),
        ("(id = 1", "not one expression"),
        ("id = 1 where false", "syntax error"),
        ("id = 1 union select 1", "syntax error"),
        ("id = 1 /*", "unterminated"),
        ("id = \udc80", "not text in UTF-8"),
        ("id = ?", "parameters"),
        ("count(*) > 1", "aggregates"),
        ("'abc'", "Could not convert"),
        ("row_number() over () = 1", "window"),
    ],
)
def test_what_is_not_one_condition_is_refused(where: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        filter_rows(ROWS, where)
    assert repr(where) in caught.value.message


def test_an_unknown_column_is_told_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"the condition 'mdev > 1' .* there is no column 'mdev'") as caught:
        filter_rows(ROWS, "mdev > 1")
    assert caught.value.hint == "did you mean 'medv'?"
    with pytest.raises(UsageError) as caught:
        filter_rows(ROWS, "zzz > 1")
    assert caught.value.hint == 'the columns are: id, medv, the "name"'


@pytest.mark.parametrize(
    "where",
    [
        "exists(from read_text('{path}'))",
        "exists(from '{path}')",
        "exists(from read_csv('{path}'))",
        "exists(from glob('{folder}/*'))",
        "exists(from query('copy rows to ''{folder}/out.csv'''))",
        "exists(select 1 from given)",
        "exists(select 1 from ROWS_OF_PYTHON)",
    ],
)
def test_a_condition_reaches_no_file_and_no_variable(tmp_path: Path, where: str) -> None:
    ROWS_OF_PYTHON = ROWS  # noqa: N806, F841 - DuckDB would find it by its name
    path = tmp_path / "secret.csv"
    path.write_text("a\n1\n")
    with pytest.raises(UsageError):
        filter_rows(ROWS, where.format(path=path, folder=tmp_path))
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret.csv"]


@pytest.mark.parametrize("names", [("a", "A"), ("a", "a"), ("rowid",)])
def test_rows_whose_columns_duckdb_would_confuse_are_refused(names: tuple[str, ...]) -> None:
    rows = pa.Table.from_arrays([pa.array([1]) for _ in names], names=list(names))
    with pytest.raises(OutsideError, match="the table has"):
        filter_rows(rows, "true")
