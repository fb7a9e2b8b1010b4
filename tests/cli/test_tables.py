import shutil
from pathlib import Path

from inline_snapshot import snapshot


def test_lists_the_newest_version_of_each(lin):
    result = lin("tables")
    assert result.text == snapshot("""\
table    version  rows  columns     size  key  written (UTC)        path
housing        1   506        5  00.0 kB  ID   0000-00-00 00:00:00  data/housing
""")
    assert (result.code, result.err) == (0, "")


def test_a_table_that_is_gone_is_listed_with_its_problem(lin, built: Path):
    shutil.rmtree(built / "data" / "housing" / "_delta_log")
    table = lin("tables", "--json").json()[0]
    assert list(table) == snapshot(
        ["name", "path", "key", "order", "version", "rows", "columns", "bytes", "time", "problem"]
    )
    assert (table["name"], table["version"]) == ("housing", None)
    assert "is not a Delta table" in table["problem"]
    assert "is not a Delta table" in lin("tables").out
