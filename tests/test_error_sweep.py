"""A sample of `bench/errors.py`: system calls of commands fail, and what that tells and leaves."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ERRORS = Path(__file__).parent.parent / "bench" / "errors.py"
CAN_TRACE = shutil.which("strace") and (
    subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True, check=False).returncode == 0
)


@pytest.mark.skipif(not CAN_TRACE, reason="strace is not here, or may not trace")
def test_calls_that_fail_are_told_and_lose_nothing(tmp_path: Path) -> None:
    words = [sys.executable, str(ERRORS), "promote", "--most", "4", "--calls", "openat,read,write,fsync,linkat,close"]
    environment = {**os.environ, "BENCH_DIR": str(tmp_path)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "promote: 4 of " in done.stdout
