"""Names and addresses that lead elsewhere, in every record that holds one: nothing outside of the project is opened.

Python's audit hook tells of what Python opens, and strace, where it is there, of what DuckDB, pyarrow and delta-rs do.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lin.project import open_project
from lin.records import Artifact, FileRef, Sealed, SourceFile, SourceTree, Start, encode
from lin.runs.query import list_runs
from lin.sealed import decode_sealed, encode_sealed

WATCHED = Path(__file__).with_name("watched.py")
HOSTILE = [
    "../outside/{}",
    "x/../../outside/{}",
    "{outside}/{}",
    "//{outside}/{}",
    "file://{outside}/{}",
    "file:{outside}/{}",
    "%2e%2e/outside/{}",
    "%252e%252e/outside/{}",
    "..%2foutside%2f{}",
    "..\\outside\\{}",
    "\\\\host\\outside\\{}",
    ";/../outside/{}",
    "../outside/{}%00.parquet",
    "../outside/{}#x",
    "../outside/{}?x",
]


def hostile(outside: Path, name: str) -> list[str]:
    return [text.replace("{outside}", str(outside)).replace("{}", name) for text in HOSTILE]


def watch(tmp_path: Path, outside: Path, steps: list[tuple[dict[str, str], list[list[str]]]]) -> list[Any]:
    """Run steps; none opens anything below `outside`. Returns the answers: command, exit code, stderr."""
    trace = tmp_path / "trace"
    strace = ["strace", "-f", "-qq", "-e", "trace=file", "-o", str(trace)] if shutil.which("strace") else []
    asked = json.dumps({"outside": str(outside), "steps": steps})
    done = subprocess.run([*strace, sys.executable, WATCHED], input=asked, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert told["seen"] == []
    if strace:
        opened = re.findall(r'open(?:at2?)?\((?:AT_FDCWD|\d+), "([^"]*)".* = \d', trace.read_text(errors="replace"))
        assert opened
        assert [path for path in opened if path.startswith(str(outside)) or "../outside" in path] == []
    for argv, code, err in told["answers"]:
        assert "Traceback" not in err, (argv, err)
        assert "bug in lin" not in err, (argv, err)
        assert "canary" not in err or code, (argv, err)
    return told["answers"]


def test_a_path_in_a_table_log_leads_nowhere(lab: Path, tmp_path: Path, outside: Path, state: Callable) -> None:
    data = next(lab.glob("data/housing/*.parquet"))
    shutil.copy(data, outside / data.name)
    log = lab / "data/housing/_delta_log/00000000000000000000.json"
    text = log.read_text()
    before = state(outside)
    commands = [
        ["show", "housing@0"],
        ["blame", "housing", "--key", "2"],
        ["vacuum", "housing", "--orphans", "--yes"],
        ["fsck", "--read-data"],
    ]
    steps = [
        ({str(log): text.replace(f'"path":"{data.name}"', f'"path":{json.dumps(path)}')}, commands)
        for path in hostile(outside, data.name)
    ]
    assert all(step[0][str(log)] != text for step in steps)
    for argv, code, err in watch(tmp_path, outside, steps):
        assert code or argv[0] in {"show", "vacuum"}, (argv, err)
    assert state(outside) == before


def reseal(lab: Path, name: str, *, start: Callable[[Start], Start], run: Callable[[Sealed], Sealed]) -> None:
    """Change what a run's records say, with every hash as it should be: the attacker wrote this store."""
    info = next(each for each in list_runs(open_project(lab).store).runs if each.name == name)
    folder = next(lab.glob(f".lin/runs/*/{info.id}"))
    begun = start(decode_sealed((folder / "start.json").read_bytes(), Start, where="start"))
    (folder / "start.json").write_bytes(encode_sealed(begun))
    ended = run(decode_sealed((folder / "run.json").read_bytes(), Sealed, where="run"))
    ended = msgspec.structs.replace(ended, start=hashlib.sha256((folder / "start.json").read_bytes()).hexdigest())
    (folder / "run.json").write_bytes(encode_sealed(ended))


def test_a_path_in_a_record_leads_nowhere(lab: Path, tmp_path: Path, outside: Path, state: Callable) -> None:
    store = open_project(lab).store
    sha256 = store.blobs.put(b"canary")
    before, around = state(outside), {path.name for path in tmp_path.iterdir()}
    steps: list[tuple[dict[str, str], list[list[str]]]] = []
    folder = next(path for path in lab.glob(".lin/runs/*/*") if '"name":"job"' in (path / "start.json").read_text())
    for number, path in enumerate(hostile(outside, "canary")[:5]):
        tree = store.blobs.put(encode(SourceTree(files=[SourceFile(path, sha256, 6)])))
        file = FileRef(path=path, sha256=sha256, bytes=6)

        def start(begun: Start, tree: str = tree, path: str = path) -> Start:
            assert begun.source is not None
            source = msgspec.structs.replace(begun.source, tree=tree)
            return msgspec.structs.replace(begun, source=source, folder=path)

        def run(ended: Sealed, file: FileRef = file, path: str = path) -> Sealed:
            artifacts = [Artifact(path=path, sha256=sha256, bytes=6)]
            return msgspec.structs.replace(ended, artifacts=artifacts, inputs=[file], outputs=[file])

        reseal(lab, "job", start=start, run=run)
        files = {str(folder / name): (folder / name).read_text() for name in ("start.json", "run.json")}
        commands = [
            ["show", "job"],
            ["artifacts", "job", "--to", f"got{number}/", "--force"],
            ["doctor", "job"],
            ["rerun", "job", "--yes"],
            ["trace", "job"],
            ["fsck", "--read-data"],
        ]
        steps.append((files, commands))
    answers = watch(tmp_path, outside, steps)
    assert {code for argv, code, _ in answers if argv[0] == "rerun"} <= {1, 2, 10, 11, 12, 13, 14, 15, 16, 20}
    assert state(outside) == before
    assert {path.name for path in tmp_path.iterdir()} - around <= {"trace"}


def test_one_too_many_parents_do_not_lead_out_of_a_rerun(
    lab: Path, lin: Callable, outside: Path, state: Callable
) -> None:
    (lab / "data/housing").rename(outside / "housing")
    declared = (lab / "lineage.toml").read_text()
    up = "../" * 40
    (lab / "lineage.toml").write_text(declared.replace('"data/housing"', f'"{up}{str(outside)[1:]}/housing"'))
    (lab / "job.py").write_text("import lin; lin.write_table('housing', lin.read_table('housing'), mode='overwrite')")
    ran = lin("run", "--name", "far", "--", sys.executable, "job.py")
    assert ran.code == 0, ran
    before = state(outside)
    again = lin("rerun", "far", "--yes")
    assert again.code == 0, again
    assert state(outside) == before


REFERENCES = [
    "runs:/../../../outside/canary",
    "runs:/%2e%2e/canary",
    "run:../../outside",
    "models:/../../outside/1",
    "file:///etc/passwd",
    "\\\\host\\x",
    "boston@../1",
    "-x",
    "x;y",
    "..",
    "/etc/passwd",
]


@pytest.mark.usefixtures("lab", "outside")
@pytest.mark.parametrize("reference", REFERENCES)
def test_a_reference_is_no_path(lin: Callable, reference: str) -> None:
    for argv in (["show", "--", reference], ["artifacts", "--", reference], ["trace", "--", reference]):
        answer = lin(*argv)
        assert answer.code in {2, 10}, (argv, answer)
        assert "canary" not in answer.out
