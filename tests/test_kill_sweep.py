"""A sample of `bench/kills.py`: commands killed at system calls and at failpoints, and what that leaves.

`make kills` has every command. Here is one that appends an event, and one that puts a folder in another's place.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

KILLS = Path(__file__).parent.parent / "bench" / "kills.py"
COMMANDS = ["alias", "export-force"]


def ways() -> list[str]:
    """How they can be killed here: system calls only where strace is there, and may trace."""
    words = ["strace", "-qq", "-o", os.devnull, "true"]
    can_trace = shutil.which("strace") and subprocess.run(words, capture_output=True, check=False).returncode == 0
    return [*(["strace"] if can_trace else []), "failpoints"]


def test_kills_at_some_points_lose_nothing(tmp_path: Path):
    words = [sys.executable, str(KILLS), *COMMANDS, "--most", "3", "--by", ",".join(ways())]
    environment = {**os.environ, "BENCH_DIR": str(tmp_path)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{3 * len(COMMANDS) * len(ways())} kills" in done.stdout
