import os
import pty
import subprocess
import sys
from pathlib import Path

from inline_snapshot import snapshot

NOISY = "import random\nopen('out.csv', 'w').write(str(random.random()))\n"


def test_a_rerun_is_identical_and_keeps_its_receipt(lin):
    result = lin("rerun", "boston@1")
    assert result.code == 0
    assert result.text == snapshot("""\
identical: re-run ######## of ########, byte for byte: 3 params, 2 metrics, 5 artifacts, 67 predictions, 506 golden \
predictions
""")
    told = result.err.splitlines()
    assert told[0].startswith("re-running ")
    assert told[0].endswith(": Ridge alpha=1.0")
    assert told[1:] == [
        "  sklearn.linear_model.Ridge, on housing@0",
        "  in this environment, which is the recorded one",
    ]
    (shown,) = (line for line in lin("show", "boston@1").text.splitlines() if line.startswith("re-run "))
    assert shown == "re-run       by ann, 0000-00-00 00:00:00 UTC: identical, run ########"
    (receipt,) = lin("show", "boston@1", "--json").json()["run"]["receipts"]
    assert (receipt["verdict"], receipt["actor"], receipt["changed"]) == ("identical", "ann", [])


def test_a_change_is_told_and_stands_in_the_receipt(lin, built: Path):
    settings = built / "lineage.toml"
    settings.write_text(f'{settings.read_text()}\n[experiments.it]\ncommand = "echo {{a}}"\nparams = {{ a = 1 }}\n')
    lin("run", "it")
    result = lin("rerun", "last", "-P", "a=2", "--json")
    verdict = result.json()
    assert (result.code, verdict["verdict"], verdict["changed"]) == (1, "inconclusive", ["a 1 -> 2"])
    assert list(verdict) == snapshot(
        ["run", "rerun", "reruns", "verdict", "changed", "drift", "verification", "disagreement"]
    )
    assert result.err.splitlines()[-1] == "  changed: a 1 -> 2"
    receipt = next(line for line in lin("show", verdict["run"]).text.splitlines() if line.startswith("re-run "))
    assert receipt == "re-run       by ann, 0000-00-00 00:00:00 UTC with a 1 -> 2: inconclusive, run ########"


def test_a_program_that_is_never_twice_the_same(lin, built: Path):
    (built / "noisy.py").write_text(NOISY)
    lin("run", "--", sys.executable, "noisy.py")
    result = lin("rerun", "last")
    lines = result.text.splitlines()
    assert result.code == 1
    assert lines[:3] == [
        "inconclusive: run ######## against ########",
        "it does not agree with itself: re-runs ######## and ######## differ in file out.csv",
        "compared: 1 file",
    ]
    assert result.err.splitlines()[-1] == "different: once more, to see whether it agrees with itself"


def test_what_cannot_be_re_run_is_listed_before_anything_runs(lin, built: Path):
    for path in (built / "data" / "housing").glob("*.parquet"):
        path.unlink()
    result = lin("rerun", "boston@1")
    assert (result.code, result.out) == (14, "")
    assert "cannot be re-run: 1 of 1 data files of housing@0 are missing or altered: " in result.err
    assert "(hint: restore the files of table 'housing' from a backup)" in result.err


def test_wishes_that_make_no_sense(lin):
    for words in (["-P", "alpha=1,2"], ["--with", "numpy"], ["--repeat", "0"]):
        result = lin("rerun", "boston@1", *words)
        assert (result.code, result.out) == (2, ""), words


def test_what_somebody_else_recorded_is_not_run_unasked(lin, monkeypatch):
    lin("run", "--", "echo", "1")
    monkeypatch.setenv("LIN_ACTOR", "bob")
    result = lin("rerun", "last")
    assert (result.code, result.out) == (2, "")
    assert "was recorded by ann on " in result.err
    assert "lin rerun --yes" in result.err
    assert lin("rerun", "last", "--yes").code == 1  # there is nothing to compare


def test_somebody_is_asked_on_a_terminal(lin):
    lin("run", "--", "echo", "1")
    variables = os.environ | {"LIN_ACTOR": "bob"}
    for answer, told, code in ((b"n\n", b"nothing was run", 1), (b"y\n", b"inconclusive", 1)):
        master, slave = pty.openpty()
        os.write(master, answer)
        done = subprocess.Popen(
            [sys.executable, "-m", "lin", "rerun", "last"], stdin=slave, stdout=slave, stderr=slave, env=variables
        )
        os.close(slave)
        seen = b""
        while chunk := _read(master):
            seen += chunk
        assert done.wait() == code
        assert b"Run it? [y/N]" in seen
        assert told in seen


def _read(master: int) -> bytes:
    try:
        return os.read(master, 1 << 16)
    except OSError:  # the other end is closed
        return b""
