import re
from pathlib import Path

from inline_snapshot import snapshot

from lin.data.tables import open_table
from lin.project import open_project


def lose_file(folder: Path, version: int) -> None:
    """Take away a data file of that version."""
    table = open_table(open_project(folder), "housing")
    (table.root / table.log.snapshot(version).files[0].path).unlink()


def test_all_versions_are_listed_with_what_is_missing_and_what_would_mend_it(lin, built: Path):
    whole = lin("doctor")
    assert (whole.code, whole.err) == (0, "")
    assert whole.text == snapshot("""\
model     run       state          what is missing
boston@1  ########  can be re-run
boston@2  ########  can be re-run
""")
    lose_file(built, 1)
    result = lin("doctor")
    assert (result.code, result.err) == (14, "")
    assert re.sub(r"part-\S+parquet", "FILE", result.text) == snapshot("""\
model     run       state          what is missing
boston@1  ########  can be re-run
boston@2  ########  cannot         1 of 1 data files of housing@1 are missing or altered: data file 'FILE' is missing
to mend it: restore the files of table 'housing' from a backup
""")
    assert [found["able"] for found in lin("doctor", "--json").json()] == [True, False]


def test_one_run(lin, built: Path):
    whole = lin("doctor", "boston@1")
    head, examined = whole.text.splitlines()
    assert (whole.code, head) == (0, "run ######## (Ridge alpha=1.0) can be re-run")
    assert examined.startswith("examined: housing@0, 2 source files, python 3.")
    lose_file(built, 0)
    result = lin("doctor", "boston@1")
    assert (result.code, result.text.splitlines()[0]) == (14, "run ######## (Ridge alpha=1.0) cannot be re-run")
    found = lin("doctor", "boston@1", "--json").json()
    assert list(found) == ["run", "name", "model", "able", "problems", "looked", "notes"]
    assert [problem["what"] for problem in found["problems"]] == ["data"]


def test_a_project_without_models(lin, tmp_path: Path, monkeypatch):
    (tmp_path / "new").mkdir()
    monkeypatch.chdir(tmp_path / "new")
    lin("init")
    result = lin("doctor")
    assert (result.code, result.text) == (0, "no models yet; register one: lin register RUN NAME\n")
