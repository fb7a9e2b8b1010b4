import sys
from pathlib import Path

PROGRAM = """
import subprocess, sys
for words in (["param", "alpha", "0.1"], ["metric", "rmse", "4.7", "--step", "3"], ["tag", "team", "risk"],
              ["artifact", "note.txt", "--name", "notes/one.txt"]):
    subprocess.run([sys.executable, "-m", "lin", "log", *words], check=True)
"""


def test_from_inside_a_program(lin, built: Path):
    (built / "note.txt").write_text("well done")
    assert lin("run", "--", sys.executable, "-c", PROGRAM).code == 0
    run = lin("runs", "--limit", 1, "--json").json()[0]
    assert (run["params"], run["metrics"], run["tags"]) == ({"alpha": "0.1"}, {"rmse": 4.7}, {"team": "risk"})
    assert [(artifact["path"], artifact["bytes"]) for artifact in run["artifacts"]] == [("notes/one.txt", 9)]


def test_a_run_that_has_ended_takes_nothing(lin):
    result = lin("log", "tag", "team", "risk", "--run", "last")
    run = lin("runs", "--limit", 1, "--json").json()[0]["id"]
    assert (result.code, result.out) == (2, "")
    assert result.err == f"error: run {run} has ended: nothing can be logged to it any more (hint: lin runs)\n"
