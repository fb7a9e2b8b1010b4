"""Runs commands of lin in this process and tells what each opened or changed below a folder that it has no business in.

Takes JSON on stdin: `outside`, and `steps`, each a list of files to write first and a list of commands.
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

from lin.cli.main import main

FILES = {"open", "os.listdir", "os.scandir", "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink",
         "os.truncate", "os.chmod"}  # fmt: skip


def watch(outside: str, seen: list[str]) -> None:
    """Note every path below `outside` that Python is asked for."""

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in FILES:
            paths = [os.fsdecode(arg) for arg in args if isinstance(arg, (str, bytes, os.PathLike))]
            seen.extend(f"{event} {path}" for path in paths if os.path.realpath(path).startswith(outside))

    sys.addaudithook(hook)


def run(argv: list[str]) -> tuple[int, str]:
    """Run a command; its exit code, and what it said on stderr."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(argv)
        except SystemExit as ended:
            code = int(ended.code or 0)
    err.flush()
    return code, err.buffer.getvalue().decode()  # type: ignore[attr-defined]


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    seen: list[str] = []
    watch(asked["outside"], seen)
    answers = []
    for files, commands in asked["steps"]:
        for path, text in files.items():
            Path(path).write_text(text)
        answers += [[argv, *run(argv)] for argv in commands]
    json.dump({"answers": answers, "seen": seen}, sys.stdout)
