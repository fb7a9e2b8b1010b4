"""Standard streams that are full, closed or read by nobody: told where that can be, never a traceback, never 120."""

import subprocess
import sys
from pathlib import Path

import pytest

from lin.errors import ExitCode

LIN = f"{sys.executable} -m lin"
NO_STDOUT = "error: the result cannot be written to stdout: "


def shell(folder: Path, line: str) -> tuple[int, str]:
    """Returns the exit code, and what came on stderr."""
    done = subprocess.run(["/bin/sh", "-c", line], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
@pytest.mark.parametrize("words", ["--version", "runs", "runs --csv"])
def test_a_full_stdout_is_told(built: Path, words: str):
    code, told = shell(built, f"{LIN} {words} >/dev/full")
    assert (code, told) == (ExitCode.OUTSIDE, f"{NO_STDOUT}No space left on device\n")


@pytest.mark.parametrize("words", ["runs --json", "--help", "output last"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_stdout_that_takes_a_part_is_told(built: Path, tmp_path: Path, words: str, unbuffered: str):
    """A disk that is nearly full takes the begin of a write, and refuses the next."""
    shell(built, f"{LIN} run -- {sys.executable} -c \"print('x' * 5000)\"")
    limit = "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (700, 700)); from lin.cli.main import main; main()"
    line = f'PYTHONUNBUFFERED={unbuffered} {sys.executable} -c "{limit}" {words} >{tmp_path / "out"}'
    code, told = shell(built, line)
    assert code == ExitCode.OUTSIDE
    assert told.startswith("error: ")
    assert "File too large" in told


@pytest.mark.parametrize("words", ["--version", "models"])
def test_a_closed_stdout_is_told(built: Path, words: str):
    assert shell(built, f"{LIN} {words} >&-") == (ExitCode.OUTSIDE, f"{NO_STDOUT}Bad file descriptor\n")


def test_help_without_a_stdout_says_so(built: Path):
    code, told = shell(built, f"{LIN} --help >&-")
    assert (code, told) == (ExitCode.OUTSIDE, "error: cannot use a file: Bad file descriptor\n")


@pytest.mark.parametrize("way", ["2>&-", "2>/dev/full"])
@pytest.mark.parametrize(("words", "code"), [("bogus", ExitCode.USAGE), ("tag boston a=b", ExitCode.OK)])
def test_without_a_stderr_the_answer_is_the_same(built: Path, words: str, code: ExitCode, way: str):
    assert shell(built, f"{LIN} {words} {way}") == (code, "")


def test_no_file_gets_the_number_of_a_stream_that_was_closed(built: Path):
    program = "import sys; print(len(sys.stdin.read()) + 7)"
    assert shell(built, f'{LIN} run -- {sys.executable} -c "{program}" <&- >&- 2>&-')[0] == ExitCode.OK
    assert shell(built, f"{LIN} output last | grep -qx 7") == (ExitCode.OK, "")
    assert shell(built, f"{LIN} fsck --read-data >/dev/null") == (ExitCode.OK, "")
