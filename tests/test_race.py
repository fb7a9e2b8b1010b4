"""Processes that change one store at once: what each was told is there, and nobody met an error."""

import subprocess
import sys
from pathlib import Path


def test_registrations_of_many_processes_are_contiguous_and_none_is_lost(tmp_path: Path) -> None:
    bench = Path(__file__).parents[1] / "bench/race.py"
    words = [sys.executable, str(bench), "6", "12"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "acknowledged 72 of 72, lost 0, processes in error 0, events 72" in done.stdout
