"""Folders and files with names that are hard to write down: a project lives there, and nothing foreign is obeyed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

NAMES = [
    b"a" * 255,
    "e\u0301".encode(),
    b"CON",
    "\N{GRINNING FACE}".encode(),
    b"a.",
    b"a\nb",
    b"a\xff",
    b"-x",
    b"\x1b[31m",
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_program_is_recorded_in_a_folder_of_any_name(tmp_path: Path, name: bytes) -> None:
    folder = tmp_path / os.fsdecode(name)
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system has no such name")

    def lin(*words: str) -> str:
        done = subprocess.run([sys.executable, "-m", "lin", *words], cwd=folder, capture_output=True, check=False)
        assert (done.returncode, b"\x1b" in done.stdout + done.stderr) == (0, False), done.stderr
        return done.stdout.decode()

    lin("init")
    (folder / "numbers.csv").write_text("1\n")
    lin("run", "--", sys.executable, "-c", "print(open('numbers.csv').read())")
    (run,) = json.loads(lin("runs", "--json"))
    assert run["status"] == "finished"
    assert [read["path"] for read in run["inputs"]] == ["numbers.csv"]


def test_a_file_whose_name_is_no_utf_8_is_recorded_with_an_escape(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"a\xff")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system has no such name")
    program = "open(b'out\\xfe.csv', 'w').write(open(b'in\\xff.csv').read())"
    (folder / os.fsdecode(b"in\xff.csv")).write_text("1\n")
    for words in (["init"], ["run", "--", sys.executable, "-c", program]):
        done = subprocess.run([sys.executable, "-m", "lin", *words], cwd=folder, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
    shown = subprocess.run([sys.executable, "-m", "lin", "runs", "--json"], cwd=folder, capture_output=True, check=True)
    (run,) = json.loads(shown.stdout)
    assert [read["path"] for read in run["inputs"]] == ["in\\xff.csv"]
    assert [(wrote["path"], wrote["bytes"]) for wrote in run["outputs"]] == [("out\\xfe.csv", 2)]
