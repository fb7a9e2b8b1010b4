from pathlib import Path

import pyarrow as pa
from deltalake import write_deltalake
from inline_snapshot import snapshot


def test_imports_a_file_with_its_key(lin, built: Path):
    (built / "wine.csv").write_text("id,ph\n1,3.2\n2,\n")
    result = lin("add", "wine", "wine.csv", "--key", "id", "--reason", "a taste")
    assert result.text == snapshot("table 'wine' imported as version 0: 2 rows, 2 columns, key id\n")
    assert (result.code, result.err) == (0, "")
    assert lin("history", "wine", "--json").json()[0]["reason"] == "a taste"
    assert '[tables.wine]\npath = "data/wine"' in (built / "lineage.toml").read_text()


def test_adopts_a_delta_table_where_it_lies(lin):
    result = lin("add", "again", "data/housing", "--json")
    assert result.json() == snapshot(
        {
            "name": "again",
            "path": "data/housing",
            "key": [],
            "version": 1,
            "rows": 506,
            "columns": 5,
            "imported": False,
            "run": None,
            "log_retention": None,
        }
    )


def test_one_row_and_one_column(lin, built: Path):
    (built / "one.csv").write_text("id\n1\n")
    assert lin("add", "one", "one.csv").out == snapshot("table 'one' imported as version 0: 1 row, 1 column, no key\n")
    assert lin("show", "one").out.splitlines()[0].endswith("in 1 file")


def test_short_rows_are_filled_when_asked(lin, built: Path):
    (built / "ragged.csv").write_text("id,ph,colour\n1,3.2,red\n2,3.1\n3\n")
    assert lin("add", "ragged", "ragged.csv", "--fill-short-rows").code == 0
    sample = lin("show", "ragged", "--json").json()["sample"]
    assert sample == [
        {"id": 1, "ph": 3.2, "colour": "red"},
        {"id": 2, "ph": 3.1, "colour": None},
        {"id": 3, "ph": None, "colour": None},
    ]


def test_a_table_whose_log_is_cleaned_up_is_told_so(lin, built: Path):
    write_deltalake(built / "lake house", pa.table({"id": [1, 2]}))
    result = lin("add", "lake", "lake house")
    assert result.text == snapshot("""\
table 'lake' adopted at version 0: 2 rows, 1 column, no key
its writers may drop old commits after 'interval 30 days'; to keep them all: lin add lake 'lake house' --keep-log
""")
    kept = lin("add", "lake", "lake house", "--keep-log")
    assert (kept.code, kept.text) == snapshot((0, "table 'lake' adopted at version 1: 2 rows, 1 column, no key\n"))
    assert lin("history", "lake", "--json").json()[-1]["reason"] == "old versions are to stay"
