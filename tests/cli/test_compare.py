import io
import re
from pathlib import Path

import msgspec
import pytest
from inline_snapshot import snapshot
from rich.console import Console
from rich.text import Text

from lin.cli.differences import view
from lin.project import open_project
from lin.runs.compare import compare_runs
from lin.runs.differences import SourceChange
from lin.runs.hunks import FileChange
from lin.runs.query import list_runs


@pytest.fixture
def other_source(lin, built: Path):
    """The newest run has a source with `notes.py` in it, and 100 lines in `long.py`."""
    (built / "notes.py").write_text("def f():\n    return 1\n")
    (built / "long.py").write_text("".join(f"x{number} = {number}\n" for number in range(100)))
    lin("run", "--name", "a program", "--", "sh", "-c", "exit 3")
    return lin


def text_of(result) -> str:
    return re.sub(r"(seconds +)[\d.]+( +)[\d.]+", r"\g<1>0.00\g<2>0.00", result.text)


def test_two_model_versions(lin):
    result = lin("compare", "boston@1", "boston@2")
    assert text_of(result) == snapshot("""\
differs                         boston@1             boston@2
run                             ########             ########
          name                  Ridge alpha=1.0      Ridge
          experiment            housing              -
          sweep                 ########             -
          started               0000-00-00 00:00:00  0000-00-00 00:00:00
          seconds               0.00                 0.00
          fit.rows              medv is not null     -
          fit.seed              567248               1
          fit.metrics           rmse, r2             -
param     alpha                 1.0                  -
          random_state          567248               1
metric    r2                    0.884479             0.89615  +0.0116706 better
          rmse                  1.96698              1.63747  -0.329509 better
          mae                   -                    1.09081
input     housing               @0                   @1
artifact  golden.parquet        ########, 00.0 kB    ########, 00.0 kB
          model/model.skops     ########, 0.0 kB     ########, 0.0 kB
          prediction_error.png  ########, 00.0 kB    ########, 00.0 kB
          predictions.parquet   ########, 0.0 kB     ########, 0.0 kB
          residuals.png         ########, 00.0 kB    ########, 00.0 kB

housing@0 -> housing@1: 173 rows updated (medv)

the same: features, source, environment, host
""")
    assert (result.code, result.err) == (0, "")


def test_two_points_of_a_sweep_share_nearly_everything(lin):
    text = lin("compare", "Ridge alpha=1.0", "Ridge alpha=0.1").text
    assert [line for line in text.splitlines() if line.startswith(("param", "the same"))] == snapshot(
        [
            "param     alpha                 1.0                  0.1",
            "the same: features, inputs, source, environment, host",
        ]
    )


def test_json(lin):
    compared = lin("compare", "boston@1", "boston@2", "--json").json()
    assert [run["label"] for run in compared["runs"]] == ["boston@1", "boston@2"]
    assert compared["tables"][0]["diff"]["columns"] == {"medv": 173}
    assert compared["same"] == snapshot(["features", "source", "environment", "host"])


def test_rows_are_not_compared_when_they_are_not_asked_for(lin):
    assert "housing@0 -> housing@1: other data\n" in lin("compare", "boston@1", "boston@2", "--no-diff").out


def test_hunks_are_cut_unless_in_full(other_source):
    text = other_source("compare", "boston@2", "last").out
    hunks = text[text.index("source boston@2 -> last") :]
    assert hunks.splitlines()[:8] == snapshot(
        [
            "source boston@2 -> last: 2 files added",
            "diff --git a/long.py b/long.py",
            "new file mode 100644",
            "--- /dev/null",
            "+++ b/long.py",
            "@@ -0,0 +1,100 @@",
            "+x0 = 0",
            "+x1 = 1",
        ]
    )
    assert hunks.splitlines()[-5:] == snapshot(
        [
            "+x74 = 74",
            "… 25 more lines of long.py: +100 -0 (--full)",
            "… 7 more lines of notes.py: +2 -0 (--full)",
            "",
            "the same: environment, host",
        ]
    )
    full = other_source("compare", "boston@2", "last", "--full").out
    assert "+x99 = 99\n" in full
    assert "--full" not in full
    [source] = other_source("compare", "boston@2", "last", "--json").json()["source"]
    assert "+x99 = 99\n" in source["files"][0]["hunks"]


def test_many_files_and_long_lines_are_cut(built: Path):
    project = open_project(built)
    run = list_runs(project.store).runs[0]
    long = f"diff --git a/0 b/0\n@@ -0,0 +1 @@\n+{'x' * 1000}\n"
    files = [FileChange(path=str(n), kind="added", plus=1, minus=0, hunks=long) for n in range(100)]
    compared = msgspec.structs.replace(
        compare_runs(project, [run, run]), source=[SourceChange(runs=[run.id], files=files, note=None)]
    )
    shown = [str(part) for part in view(compared) if isinstance(part, Text)]
    assert max(map(len, shown)) == 400
    assert shown[-2] == "… and 20 more files (--full)"
    assert sum(text.startswith("+x") for text in shown) == 26
    in_full = [str(part) for part in view(compared, full=True) if isinstance(part, Text)]
    assert in_full.count(f"+{'x' * 1000}") == 100


def test_many_runs_stand_in_blocks_on_a_narrow_terminal(built: Path):
    project = open_project(built)
    runs = list_runs(project.store).runs
    for width, expected in ((200, [4]), (80, [2, 1, 1])):
        console = Console(file=io.StringIO(), width=width)
        with console.capture() as captured:
            console.print(*view(compare_runs(project, runs)))
        heads = [line.split()[1:] for line in captured.get().splitlines() if line.startswith("differs")]
        assert [len(head) for head in heads] == expected
        assert [label for head in heads for label in head] == [run.id[-8:] for run in runs]


def test_what_cannot_be_compared(lin):
    for words, code, says in (
        ("last", 2, "there is one run, and nothing to compare it with (hint: lin compare A B)"),
        ("last housing@0", 2, "'housing@0' is a table, not a run or a model version"),
        ("last nothing", 10, "there is no run 'nothing'"),
    ):
        result = lin("compare", *words.split())
        assert (result.code, result.out) == (code, "")
        assert says in result.err


def test_a_damaged_blob_is_said_and_the_rest_shown(other_source, built: Path):
    runs = [other_source("show", reference, "--json").json() for reference in ("last", "boston@2")]
    tree = runs[0]["run"]["source"]["tree"]
    blob = built / f".lin/blobs/{tree[:2]}/{tree}"
    blob.chmod(0o600)
    blob.write_text("{}")
    result = other_source("compare", "last", "boston@2")
    assert f"source last -> boston@2: it cannot be compared: blobs/{tree[:2]}/{tree} is damaged" in result.out
    assert (result.code, "a program" in result.out) == (0, True)
