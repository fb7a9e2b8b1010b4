import re
import shutil
from pathlib import Path

from deltalake import DeltaTable
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


def test_checks_that_pinned_versions_can_be_read(lin):
    result = lin("tables", "--check")
    assert (result.code, result.out) == snapshot(
        (0, "2 of 2 pinned versions can be read: every file there and unaltered\n")
    )
    result = lin("tables", "--check", "--quick")
    assert (result.code, result.out) == snapshot(
        (0, "2 of 2 pinned versions can be read: every file of the right size\n")
    )


def test_a_version_that_can_no_longer_be_read_is_an_answer_of_no(lin, built: Path):
    first = DeltaTable(built / "data" / "housing", version=0).file_uris()[0]
    Path(first).unlink()
    result = lin("tables", "--check")
    assert (result.code, re.sub(r"part-\S+\.parquet", "NAME", result.text)) == snapshot(
        (
            1,
            """\
housing@0 can no longer be read: data file 'NAME' is missing
  stranded: boston@1 (production), run ########, run ########, run ########, run ########, run ########
1 of 2 pinned versions can be read: every file there and unaltered
""",
        )
    )
    found = lin("tables", "--check", "--json")
    assert found.code == 1
    assert [bool(version["problems"]) for version in found.json()["versions"]] == [True, False]


def test_quick_is_for_check(lin):
    assert lin("tables", "--quick").code == 2
