import re
from pathlib import Path

from deltalake import DeltaTable
from inline_snapshot import snapshot


def overwrite_twice(lin, built: Path) -> set[Path]:
    """Versions 2 and 3: the files of version 2 are needed by nobody."""
    table = DeltaTable(built / "data" / "housing")
    before = set(built.glob("data/housing/*.parquet"))
    table.delete("ID < 10")
    table.update_incremental()
    made = set(built.glob("data/housing/*.parquet")) - before
    table.delete("ID < 20")
    assert lin("history", "housing", "--json").json()[-1]["version"] == 3
    return made


def test_shows_what_would_go_and_what_stays_for_whom(lin, built: Path):
    (needless,) = overwrite_twice(lin, built)
    result = lin("vacuum", "housing", "--retain", "0 days")
    assert f"  {needless.name}\n" in result.out
    assert re.sub(r"part-\S+\.parquet", "NAME", result.text) == snapshot("""\
housing@3: would delete 1 file, 00.0 kB
  NAME
versions that no run needs and that would no longer be readable: 2
spared:
  housing@0: 1 file, 00.0 kB, for runs ########, ########, ########, ########, ######## and boston@1 (production)
  housing@1: 1 file, 00.0 kB, for runs ########, ######## and boston@2
delete them: lin vacuum housing --yes
""")
    assert (result.code, result.err) == (0, "")
    assert needless.exists()


def test_deletes_when_told_and_the_models_can_be_rerun(lin, built: Path):
    (needless,) = overwrite_twice(lin, built)
    result = lin("vacuum", "housing@1", "--retain", "0 days", "--yes")
    assert (result.code, result.text.splitlines()[0]) == snapshot((0, "housing@3: deleted 1 file, 00.0 kB"))
    assert not needless.exists()
    assert lin("tables", "--check").code == 0
    assert lin("rerun", "boston@1").code == 0
    again = lin("vacuum", "housing", "--retain", "0 days", "--yes", "--json").json()
    assert (again["files"], again["deleted"], len(again["spared"])) == (0, 0, 2)


def test_keeps_what_is_young(lin, built: Path):
    overwrite_twice(lin, built)
    assert lin("vacuum", "housing").text == snapshot("""\
housing@3: nothing to delete
kept: 3 files removed too short a time ago
""")


def test_a_wrong_time_span(lin):
    result = lin("vacuum", "housing", "--retain", "soon")
    assert (result.code, result.err) == snapshot(
        (
            2,
            """\
error: 'soon' is no time span (hint: write it as '7 days'; units are seconds, minutes, hours, days, weeks)
""",
        )
    )
