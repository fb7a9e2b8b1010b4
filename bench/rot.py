"""Rot in every byte of a small store, one change at a time: does `lin fsck --read-data` find each, and name the file?

    python bench/rot.py [MOST]        # changes a file, spread evenly over it; all unless told

Each byte has a bit flipped, and the file is cut off there; it is emptied, taken away, and a folder, a link to its own
content and a pipe are put in its place. Not changed is what nothing can tell of: the end of a log that still grows, and
a program's output while it runs.
"""

import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from lin.data.tables import open_table
from lin.errors import LinError
from lin.lineage.fsck.check import check_store
from lin.models.changes import promote, register_model
from lin.project import Project, create_project, open_project
from lin.runs.add import add_table
from lin.runs.fit import MODEL
from lin.runs.record import begin_run, capture
from lin.runs.writes import pin_input

Change = tuple[str, int]
"""What is done to a file, and at which byte."""

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def main() -> int:
    most = int(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(prefix=".rot-", dir=os.environ.get("BENCH_DIR")) as folder:
        root = make_store(Path(folder, "boston"))
        began = time.perf_counter()
        done: Counter[str] = Counter()
        missed = []
        for path, change in changes(root, most):
            done[change[0]] += 1
            if not is_found(root, path, change):
                missed.append((path, change))
                print(f"! not found: {path}: {change[0]} at {change[1]}")
        seconds = time.perf_counter() - began
    total = done.total()
    print(f"{total} changes in {seconds:.0f} s: found {total - len(missed)}, {1 - len(missed) / total:.2%}")
    print("  ".join(f"{kind}: {number}" for kind, number in done.items()))
    return 1 if missed else 0


def make_store(root: Path) -> Path:
    """A table, runs sealed, failed and running, a registered model; it was looked at once. Returns the project."""
    root.mkdir(parents=True)
    (root / "housing.csv").write_text("ID,rm\n1,6.5\n2,7.25\n3,5.5\n")
    project, _ = create_project(root, name="boston")
    add_table(project, "housing", root / "housing.csv", key=["ID"])
    project = open_project(root)
    captured = capture(project)
    read = pin_input(project, open_table(project, "housing"))[1]
    for status in ("finished", "failed", None):
        run = begin_run(project, captured, kind="train", name=f"Ridge {status}", inputs=[read], params={"alpha": 0.1})
        run.log_artifact(f"the model of {status}".encode(), MODEL)
        run.log_metrics({"rmse": 5.25, "r2": 0.5})
        output = run.output()
        output.append(b"fitting\n")
        output.close()
        if status is not None:
            run.seal(status)
    register_model(project, run_of(project, "finished"), "boston")
    promote(project, "boston@1", "production", reason="best")
    if findings := look(root):
        sys.exit(f"false findings: {findings}")
    return root


def run_of(project: Project, status: str) -> str:
    sealed = [project.store.runs.sealed(run) for run in project.store.runs.ids()]
    return next(record.id for record in sealed if record and record.status == status and record.artifacts)


def look(root: Path) -> list[str]:
    """The files that a look at all content names."""
    options = {"chance": random.random, "pause": lambda: None, "now": NOW, "cache": root / "cache"}
    try:
        return [finding.file for finding in check_store(open_project(root), share=1, **options).findings]
    except LinError as error:  # such as a number of a newer format: the store is refused, and its file named
        return [error.message.split()[0]]


def changes(root: Path, most: int | None) -> Iterator[tuple[str, Change]]:
    """Every change to make: the path relative to the store, and what. `most` bytes of each file at most."""
    store = root / ".lin"
    growing = {path.parent for path in store.rglob("start.json") if not (path.parent / "run.json").exists()}
    places = [path for path in store.rglob("*") if path.is_file() and path.name != ".gitignore"]
    places = [path for path in places if ".announced" not in path.parts]
    places += [path for path in (root / "data").rglob("*") if path.is_file()]
    for path in sorted(places):
        name, size = os.path.relpath(path, store), path.stat().st_size
        step = 1 if most is None else max(1, size // most)
        is_open_log = path.parent in growing and path.name == "log.jsonl"
        if path.parent in growing and path.name == "output.log":
            continue
        yield from ((name, ("flip", at)) for at in range(0, size, step))
        if not is_open_log:
            yield from ((name, ("cut", at)) for at in range(0, size, step))
        yield from ((name, (kind, 0)) for kind in ("folder", "link", "pipe"))
        if not is_open_log:
            yield from ((name, (kind, 0)) for kind in ("empty", "gone"))


def is_found(root: Path, name: str, change: Change) -> bool:
    """Make a change, look, and undo it."""
    path = root / ".lin" / name
    whole = path.read_bytes()
    make_change(path, whole, change, root / "same")
    try:
        named = look(root)
        return os.path.normpath(name) in named or (
            change[0] == "gone" and str(Path(os.path.normpath(name)).parent) in named
        )
    finally:
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
        path.write_bytes(whole)
        path.chmod(0o600)


def make_change(path: Path, whole: bytes, change: Change, same: Path) -> None:
    kind, at = change
    if kind in {"folder", "link", "pipe", "gone"}:
        path.unlink()
    match kind:
        case "flip":
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        case "cut":
            path.write_bytes(whole[:at])
        case "empty":
            path.write_bytes(b"")
        case "folder":
            path.mkdir()
        case "link":
            same.write_bytes(whole)
            path.symlink_to(same)
        case "pipe":
            os.mkfifo(path)


if __name__ == "__main__":
    sys.exit(main())
