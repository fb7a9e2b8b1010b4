"""Makes the damaged store of the present format: `python tests/stores/damage.py v1`. Done once, then kept.

It is a small whole store with faults of every kind, and `findings.json` tells those that `lin fsck --read-data` has to
find. A newer lin may find more to say of each, and must find these.
"""

import importlib.util
import json
import random
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from lin.lineage.fsck.check import check_store
from lin.project import open_project
from lin.records import digest
from lin.store.fsck import blob_key, run_folder

HERE = Path(__file__).parent


def main() -> None:
    target = HERE / "damaged" / sys.argv[1]
    if target.exists():
        sys.exit(f"{target} is there already, and is to stay as it is")
    spec = importlib.util.spec_from_file_location("rot", HERE.parents[1] / "bench/rot.py")
    rot = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rot)
    with tempfile.TemporaryDirectory() as scratch:
        folder = rot.make_store(Path(scratch, "damaged"))
        shutil.rmtree(folder / "cache")
        (folder / ".lin/.gitignore").unlink()  # this one does belong into git
        shutil.rmtree(folder / ".lin/.announced")
        settings = folder / "lineage.toml"
        settings.write_text(settings.read_text().replace(".lin", "store", 1))
        (folder / ".lin").rename(folder / "store")
        damage(folder)
        (folder / "findings.json").write_text(json.dumps(find(folder), indent=1) + "\n")
        shutil.copytree(folder, target)


def damage(folder: Path) -> None:
    store = open_project(folder).store
    root = folder / "store"
    runs = {record.name: record for run in store.runs.ids() for record in [store.runs.start(run)]}
    finished, failed, running = (run_folder(runs[f"Ridge {s}"].id) for s in ("finished", "failed", "None"))
    flip(root / "events/000000000002.json")
    flip(root / failed / "run.json")
    (root / finished / "output.log").write_bytes(b"fitting\nand more\n")
    flip(root / running / "log.jsonl")
    flip(root / blob_key(digest(b"the model of failed")))
    (root / blob_key(digest(b"the model of finished"))).unlink()
    (root / "blobs/ab/notes.txt").parent.mkdir(exist_ok=True)
    (root / "blobs/ab/notes.txt").write_text("not lin's\n")
    (data,) = (folder / "data/housing").glob("*.parquet")
    flip(data)
    (folder / "data/housing/_delta_log/00000000000000000001.json").write_bytes(b'{"add":{"path":"../')


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def find(folder: Path) -> dict[str, str]:
    project = open_project(folder)
    found = check_store(project, share=1, chance=random.random, pause=lambda: None, now=datetime.now(UTC))
    return {finding.file: finding.ill for finding in found.findings}


if __name__ == "__main__":
    main()
