"""Words as long as the system takes, to each parser of words: answered in lin's words, about as fast as short ones."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

LONG = 120_000
"""Linux takes 128 KiB in one argument."""
FACTOR = 20

WORDS = {
    "open brackets": ["runs", "--where", "(" * LONG],
    "nots": ["runs", "--where", "not " * (LONG // 4)],
    "comparisons": ["runs", "--where", "metrics.rmse < 1" + " and metrics.rmse < 1" * (LONG // 21)],
    "a quote": ["runs", "--where", "'" + "a" * LONG],
    "backtracking": ["runs", "--where", "params.name like '" + "%a" * (LONG // 2 - 20) + "b'"],
    "a field": ["runs", "--sort", "a." * (LONG // 2)],
    "a version": ["show", "housing@" + "9" * LONG],
    "a path": ["show", "a/" * (LONG // 2)],
    "a moment": ["history", "housing@" + "1 day ago " * (LONG // 10)],
}


def seconds(*words: str) -> float:
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "lin", *words], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert "bug in lin" not in done.stderr, done.stderr[-300:]
    return time.monotonic() - started


@pytest.mark.parametrize("name", WORDS)
def test_a_long_word_is_answered_about_as_fast_as_a_short_one(lab: Path, name: str) -> None:
    assert lab.is_dir()
    assert seconds(*WORDS[name]) < FACTOR * seconds("runs", "--limit", "1")
