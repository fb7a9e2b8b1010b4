import datetime as dt
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lin.data.commit import Attribution
from lin.data.load import adopt, load_source, load_table
from lin.data.read import read_version
from lin.data.tables import Table
from lin.data.write import create_table
from lin.errors import LinError, NotFoundError, OutsideError, UsageError

BY = Attribution(run="r", user="ada", reason="imported", lin="0.1.0")
MakeTable = Callable[..., Table]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Writes a file and returns its path."""

    def make(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


Write = Callable[[str, str | bytes], Path]


def refusal(path: Path, **options: bool) -> LinError:
    """The error that loading the file raises."""
    with pytest.raises(LinError) as caught:
        load_source(path, **options)
    return caught.value


# --- CSV ---


def test_csv_types_are_those_of_all_values(write: Write) -> None:
    body = "1,x,true,2026-01-31\n" * 10_000 + "1.5,7,false,2026-02-01\n"
    rows = load_source(write("a.csv", "n,s,b,d\n" + body))
    assert rows.schema == pa.schema([("n", pa.float64()), ("s", pa.string()), ("b", pa.bool_()), ("d", pa.date32())])
    assert rows.slice(10_000).to_pylist() == [{"n": 1.5, "s": "7", "b": False, "d": dt.date(2026, 2, 1)}]


def test_csv_nulls(write: Write) -> None:
    rows = load_source(write("a.csv", 'n,s,none\n1,,\n,"",\nNA,NA,\n,null,\n'))
    assert rows.column("n").to_pylist() == [1, None, None, None]
    assert rows.column("s").to_pylist() == [None, "", "NA", "null"]
    assert rows.column("none").to_pylist() == [None] * 4
    assert rows.schema.field("none").type == pa.string()


def test_csv_keeps_nan_and_is_silent_about_blank_lines_and_a_byte_order_mark(write: Write) -> None:
    rows = load_source(write("a.csv", "\ufeffx,y\n\nNaN,1\n\n-inf,2\n\n"))
    assert rows.column_names == ["x", "y"]
    assert str(rows.column("x").to_pylist()) == "[nan, -inf]"


def test_csv_times(write: Write) -> None:
    text = (
        "zone,none,fine,clock\n"
        "2026-01-01T12:00:00+02:00,2026-01-01 12:00:00,2026-01-01 12:00:00.000001,9:30\n"
        "2026-01-01T12:00:00Z,,2026-01-01 12:00:00,12:30\n"
    )
    rows = load_source(write("a.csv", text))
    assert rows.schema.field("zone").type == pa.timestamp("us", "UTC")
    assert rows.column("zone")[0].as_py() == dt.datetime(2026, 1, 1, 10, tzinfo=dt.UTC)
    assert rows.schema.field("none").type == rows.schema.field("fine").type == pa.timestamp("us")
    assert rows.column("clock").to_pylist() == ["9:30", "12:30"]


def test_csv_whole_numbers_are_never_rounded(write: Write) -> None:
    text = "id,huge,mixed,float\n12345678901234567890," + "9" * 40 + ",12345678901234567890,1e300\n-1,NA,0.5,2\n"
    rows = load_source(write("a.csv", text))
    assert rows.column("id").to_pylist() == [Decimal(12345678901234567890), Decimal(-1)]
    assert rows.column("huge").to_pylist() == ["9" * 40, None]
    assert rows.schema.field("mixed").type == rows.schema.field("float").type == pa.float64()


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_ragged_row_is_named_by_its_line(write: Write, newline: str) -> None:
    text = newline.join(["a,b,c", '1,"two', "lines", '",3', "", "4,5", "6,7,8", ""])
    error = refusal(write("a.csv", text))
    assert isinstance(error, UsageError)
    assert error.message == "a.csv, line 6: the row has 2 fields, and the header 3"
    assert "--fill-short-rows" in (error.hint or "")
    rows = load_source(write("a.csv", text), fill_short_rows=True)
    assert rows.column("a").to_pylist() == [1, 4, 6]
    assert rows.column("c").to_pylist() == [3, None, 8]


def test_a_row_that_is_too_long_is_refused_even_when_short_ones_are_filled(write: Write) -> None:
    path = write("a.csv", "a,b\n1\n1,2,3\n")
    assert refusal(path, fill_short_rows=True).message == "a.csv, line 3: the row has 3 fields, and the header 2"


def test_filling_keeps_empty_texts_from_nulls_and_an_end_without_newline(write: Write) -> None:
    path = write("a.csv", 'a,b,c\n"x, ""y""","",1\n"",,\nz')
    rows = load_source(path, fill_short_rows=True)
    assert rows.column("a").to_pylist() == ['x, "y"', "", "z"]
    assert rows.column("b").to_pylist() == ["", None, None]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a,b,a\n1,2,3\n", "two columns 'a'"),
        ("a,A\n1,2\n", "'a' and 'A'"),
        (",b\n0,2\n", "column 1 has no name"),
        ("", "is empty"),
        (" \n\n", "is empty"),
        ("a,b\n", "a header and no rows"),
        (b"a,b\n1,x\n2,\xff\n", "line 3: not valid UTF-8"),
        (b"\xff\xfea\x00", "line 1: not valid UTF-8"),
        ('a,b\n1,"x\n2,y\n3,z\n', "inside a quoted text"),
        ("a,t\n1,2026-01-01 00:00:00.123456789\n", "'t'"),
    ],
)
def test_csv_that_is_refused(write: Write, text: str | bytes, why: str) -> None:
    error = refusal(write("a.csv", text))
    assert isinstance(error, UsageError)
    assert error.message.startswith("a.csv")
    assert why in error.message


cells = st.text(st.sampled_from("ab1,\"\n\r' é"), max_size=4).map("t".__add__)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.lists(cells, min_size=1, max_size=4), min_size=1, max_size=6))
def test_ragged_rows_are_found_where_they_are(tmp_path: Path, rows: list[list[str]]) -> None:
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    text = "\n".join(["a,b,c", *quoted, ""])
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    bad = next((n for n, row in enumerate(rows) if len(row) != 3), None)
    if bad is None:
        assert load_source(path).num_rows == len(rows)
        return
    before = "\n".join(["a,b,c", *quoted[:bad], ""]).replace("\r\n", "\n").replace("\r", "\n")
    expected = f"a.csv, line {before.count(chr(10)) + 1}: the row has {len(rows[bad])} field"
    assert refusal(path).message.startswith(expected)
    if all(len(row) <= 3 for row in rows):
        filled = load_source(path, fill_short_rows=True)
        assert filled.num_rows == len(rows)
        assert [value is None for value in filled.column("c").to_pylist()] == [len(row) < 3 for row in rows]


# --- JSON ---


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.ndjson"])
@pytest.mark.parametrize("as_array", [True, False])
def test_json_lines_and_arrays(write: Write, name: str, as_array: bool) -> None:
    items = [
        {"id": 1, "x": 1, "deep": {"k": [1, 2]}, "none": None},
        {"id": 2, "new": "\u2028", "x": 1.5, "deep": {"k": []}},
    ]
    text = (
        json.dumps(items, ensure_ascii=False, indent=1)
        if as_array
        else "\n".join(json.dumps(i, ensure_ascii=False) for i in items)
    )
    rows = load_source(write(name, text))
    assert rows.to_pylist() == [
        {"id": 1, "x": 1.0, "deep": {"k": [1, 2]}, "none": None, "new": None},
        {"id": 2, "x": 1.5, "deep": {"k": []}, "none": None, "new": "\u2028"},
    ]
    assert rows.schema.field("none").type == pa.string()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": 1}\n\n{"a": }\n', "a.json, line 3: not valid JSON"),
        ('[{"a": 1},\n{"a"}]', "a.json, line 2: not valid JSON"),
        ('{"a": 1}\n[1]\n', "a.json, line 2: a row must be an object, not [1]"),
        ('[{"a": 1}, 7]', "a.json, element 2: a row must be an object, not 7"),
        ('{"a": 1, "a": 2}', "a.json, line 1: not JSON that lin reads: an object has the same key twice"),
        ('{"a": 1}\n{"a": "x"}', "a.json: the values of column 'a' are not of one type"),
        ('{"a": 18446744073709551616}', "a.json: column 'a' has a whole number beyond 64 bits"),
        ('{"a": "\\ud800"}', "a.json: the values of column 'a'"),
        ('{"a": {}}', "a.json: column 'a' is of type struct<>"),
        ("[" * 100_000, "a.json, line 1"),
        ('{"a": ' + "1" * 5000 + "}", "a.json, line 1"),
        ("[]", "a.json has no rows"),
        ("{}", "a.json has no rows"),
        (b'{"a": "\xff"}', "a.json, line 1: not valid UTF-8"),
    ],
)
def test_json_that_is_refused(write: Write, text: str | bytes, why: str) -> None:
    error = refusal(write("a.json", text))
    assert isinstance(error, UsageError)
    assert error.message.startswith(why)


# --- Parquet ---


def test_parquet_types_that_delta_lacks_are_converted(tmp_path: Path) -> None:
    rows = pa.table(
        {
            "u8": pa.array([255], pa.uint8()),
            "small": pa.array([2**63 - 1], pa.uint64()),
            "large": pa.array([2**64 - 1], pa.uint64()),
            "none": pa.array([None], pa.uint64()),
            "word": pa.array(["x"]).dictionary_encode(),
            "text": pa.array(["y"], pa.large_string()),
            "half": pa.array([0.5], pa.float16()),
            "when": pa.array([1_000], pa.timestamp("ns", "Europe/Berlin")),
            "list": pa.array([[1]], pa.large_list(pa.uint16())),
            "id": pa.array([b"\x01" * 16], pa.binary(16)).cast(pa.uuid()),
        }
    )
    pq.write_table(rows, tmp_path / "a.parquet")
    loaded = load_source(tmp_path / "a.parquet")
    assert [str(field.type) for field in loaded.schema] == [
        "int16",
        "int64",
        "decimal128(20, 0)",
        "int64",
        "string",
        "string",
        "float",
        "timestamp[us, tz=UTC]",
        "list<element: int32>",
        "binary",
    ]
    assert loaded.column("large").to_pylist() == [Decimal(2**64 - 1)]
    assert loaded.column("id").to_pylist() == [b"\x01" * 16]
    table = Table("t", tmp_path / "t")
    create_table(table.root, load_table(table, tmp_path / "a.parquet").to_reader(), BY, now_ms=0)
    assert read_version(table)[1].equals(loaded)


@pytest.mark.parametrize(
    ("column", "why"),
    [
        (pa.array([1], pa.time64("us")), "column 'c' is of type time64[us]"),
        (pa.array([1], pa.duration("s")), "column 'c' is of type duration[s]"),
        (pa.array([1], pa.timestamp("ns")), "timestamp[ns] do not fit column 'c'"),
    ],
)
def test_parquet_types_that_are_refused(tmp_path: Path, column: pa.Array, why: str) -> None:
    pq.write_table(pa.table({"c": column}), tmp_path / "a.parquet")
    error = refusal(tmp_path / "a.parquet")
    assert why in error.message


def test_files_that_cannot_be_read(tmp_path: Path, write: Write) -> None:
    assert isinstance(refusal(tmp_path / "no.csv"), NotFoundError)
    assert "a folder" in refusal(tmp_path).message
    assert "cannot be read as Parquet" in refusal(write("a.parquet", b"PAR1 is not enough")).message
    assert "ends in none of .csv, .parquet" in refusal(write("a.xlsx", b"PK")).message


# --- tables ---


def test_a_loaded_file_becomes_version_0(tmp_path: Path, write: Write) -> None:
    table = Table("housing", tmp_path / "data" / "housing", key=("ID",))
    rows = load_table(table, write("housing.csv", "ID,medv\n7,21.5\n3,\n"))
    assert create_table(table.root, rows.to_reader(), BY, now_ms=0) == 0
    assert read_version(table)[1].to_pylist() == [{"ID": 7, "medv": 21.5}, {"ID": 3, "medv": None}]


@pytest.mark.parametrize(
    ("key", "text", "why"),
    [
        (("id",), "ID,b\n1,2\n", "a.csv: there is no column 'id', which is to be the key"),
        (
            ("a", "b"),
            "a,b\n1,11\n2,1\n11,1\n2,1\n1,11\n",
            "a.csv: the key is not unique: 2 rows have a = 1, b = 11",
        ),
        (("a",), "a,b\n1,2\n,3\n", "a.csv: row 2 has no value in the key column 'a'"),
    ],
)
def test_a_key_must_identify_the_rows(tmp_path: Path, write: Write, key: tuple[str, ...], text: str, why: str) -> None:
    table = Table("t", tmp_path / "t", key=key)
    with pytest.raises(UsageError) as caught:
        load_table(table, write("a.csv", text))
    assert caught.value.message.startswith(why)


def test_a_key_of_lists_is_refused(tmp_path: Path, write: Write) -> None:
    table = Table("t", tmp_path / "t", key=("k",))
    with pytest.raises(UsageError, match="k cannot be a key"):
        load_table(table, write("a.json", '{"k": [1]}'))


def test_adopt(make_table: MakeTable, tmp_path: Path) -> None:
    rows = pa.table({"id": [1, 2]})
    assert adopt(make_table(rows, rows)).version == 1
    with pytest.raises(UsageError, match="no column 'ID', which is to be the order"):
        adopt(make_table(rows, name="other", order=["ID"]))
    with pytest.raises(NotFoundError, match="not a Delta table"):
        adopt(Table("none", tmp_path / "none"))
    table = make_table(rows, name="broken")
    (table.root / table.log.snapshot().files[0].path).unlink()
    with pytest.raises(OutsideError, match="missing"):
        adopt(table)


@pytest.mark.parametrize("levels", [16, 600, 900])
@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"a":', "}")], ids=["lists", "maps"])
def test_what_is_nested_deeper_than_is_read_is_refused(tmp_path: Path, opens: str, closes: str, levels: int) -> None:
    place = tmp_path / "deep.json"
    place.write_text(f'{{"ID": 1, "x": {opens * levels}1{closes * levels}}}')
    with pytest.raises(UsageError, match=r"^deep\.json: column 'x' is nested more than 16 levels deep"):
        load_source(place)
