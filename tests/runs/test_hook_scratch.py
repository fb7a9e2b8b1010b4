"""What a program that runs again opens by absolute paths is that of the scratch folder; what is live stays as it is."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from lin.records import Seen
from lin.store.runs import decode_lines

HOOK = Path(__file__).parents[2] / "src/lin/hook"
RUN = "01a201514f167ef88a19803d300dcae9"


MOVED = """\
import builtins, glob, io, os, pathlib, shutil, sys, tempfile
import finder
live = pathlib.Path(sys.argv[1])
print(open(f"{live}/a.csv").read(), open(os.fsencode(live / "a.csv"), "rb").read(), io.open(live / "a.csv").read())
print(open(file=live / "a.csv").read(), os.fdopen(os.open(live / "a.csv", os.O_RDONLY)).read())
print(os.path.exists(live / "b.csv"), os.path.isdir(live / "more"), (live / "a.csv").stat().st_size)
print(os.access(live / "b.csv", 4), os.access(live / "a.csv", 4))
print(sorted(os.listdir(live)), [e.name for e in os.scandir(live / "more")], [p.name for p in live.glob("*.csv")])
print(glob.glob(f"{live}/*.csv") == [f"{live}/a.csv"], [names for *_, names in os.walk(live / "more")])
shutil.copy(live / "a.csv", live / "copied.csv")
os.rename(src=live / "copied.csv", dst=live / "renamed.csv")
os.link(live / "renamed.csv", live / "linked.csv")
os.truncate(live / "linked.csv", 1)
os.chmod(live / "renamed.csv", 0o600)
os.utime(live / "renamed.csv", (0, 0))
shutil.rmtree(live / "more")
os.makedirs(live / "x/y")
os.chdir(live / "x")
print(os.getcwd().startswith(sys.argv[2]), open("../a.csv").read() == open(f"{live}/x/../a.csv").read())
for kept in (".hidden", "venv/site-packages", ".lin"):
    print(open(f"{live}/{kept}/a.csv").read())
descriptor = os.open(live, os.O_RDONLY)
print(os.stat("a.csv", dir_fd=descriptor).st_size, os.stat(descriptor) == os.stat(live))
print(os.listdir(descriptor) == os.listdir(live))
print({os.open, os.stat, os.unlink, os.rmdir} <= os.supports_dir_fd, os.scandir in os.supports_fd)
with tempfile.NamedTemporaryFile("w") as file:
    print(os.path.exists(file.name), builtins.open is io.open)
print(sys.path[-2] == f"{sys.argv[2]}{live}/src", sys.path[-1])
print(finder.MAPPING["mine"] == f"{sys.argv[2]}{live}/src/mine")
"""


def tree_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_program_that_runs_again_finds_the_files_of_then(tmp_path: Path) -> None:
    live, scratch = tmp_path / "live", tmp_path / "scratch"
    then = Path(f"{scratch}{live}")
    for place in (".hidden", "venv/site-packages", ".lin", "src"):
        (live / place).mkdir(parents=True)
        (live / place / "a.csv").write_text("live")
    for name in ("a.csv", "b.csv"):
        (live / name).write_text("live")
    (then / "more").mkdir(parents=True)
    (then / "src/mine").mkdir(parents=True)
    (then / "more/c.csv").write_text("c")
    (then / "a.csv").write_text("then")
    (tmp_path / "installed").mkdir()
    # what setuptools makes of an editable installation
    finder = f"MAPPING = {{'mine': '{live}/src/mine'}}\nclass F:\n    find_spec = classmethod(lambda *a: None)\n"
    (tmp_path / "installed/finder.py").write_text(finder)
    (tmp_path / "program.py").write_text(MOVED)
    before = tree_of(live)
    log = tmp_path / "store/log.jsonl"
    log.parent.mkdir()
    settings = {"log": str(log), "root": str(then), "skip": [str(log.parent)], "scratch": str(scratch)}
    path = [str(tmp_path / "installed"), str(live / "src")]
    start = (
        f"import sys; sys.path.insert(0, {str(HOOK)!r}); sys.path += {path!r}\n"
        "import finder; sys.meta_path.append(finder.F)\n"
        f"import lin_hook; lin_hook.start({RUN!r}, {json.dumps(settings)!r})\n"
        f"sys.argv = ['it', {str(live)!r}, {str(scratch)!r}]\n"
        f"exec(open({str(tmp_path / 'program.py')!r}).read())\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", start],
        env={"PATH": os.environ["PATH"], "LIN_MODULES": f"{tmp_path}/extra"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "then b'then' then",
        "then then",
        "False True 4",
        "False True",
        "['a.csv', 'more', 'src'] ['c.csv'] ['a.csv']",
        "True [['c.csv']]",
        "True True",
        *["live"] * 3,
        "4 True",
        "True",
        "True True",
        "True True",
        f"True {tmp_path}/extra",
        "True",
    ]
    assert tree_of(live) == before
    assert (then / "renamed.csv").read_text() == "t"
    records, _ = decode_lines(log.read_bytes(), "it")
    assert {line.path for line in records if isinstance(line, Seen)} >= {f"{then}/a.csv", f"{then}/renamed.csv"}
    assert all(isinstance(line, Seen) and line.path.startswith(str(then)) for line in records)


TABLES = """\
import os, sys, tempfile
from deltalake import DeltaTable, write_deltalake
import pyarrow as pa
live, far = sys.argv[1:]
print(DeltaTable(f"file://{live}/a%20table").version(), DeltaTable(table_uri=f"{live}/a table").version())
print(DeltaTable(far).version(), DeltaTable.is_deltatable(f"{live}/a table"), DeltaTable.is_deltatable(f"{live}/gone"))
rows = pa.table({"a": [1]})
write_deltalake(f"{live}/a table", rows, mode="append")
write_deltalake(DeltaTable(far), rows, mode="append")
DeltaTable(far).delete("a = 1")
DeltaTable.create(f"{live}/made", pa.schema([pa.field("a", pa.int64())]))
own = tempfile.mkdtemp()
write_deltalake(own, rows)
print(os.listdir(own) != [])
"""


def test_tables_of_a_program_that_runs_again(tmp_path: Path) -> None:
    scratch, live = tmp_path / "scratch", tmp_path / "project"
    far, link = tmp_path / "else/far", tmp_path / "link"
    rows = pa.table({"a": [1, 2]})
    for table in (live / "a table", far):
        write_deltalake(table, rows)
        shutil.copytree(table, f"{scratch}{table}")
        write_deltalake(table, rows, mode="append")
    link.symlink_to(far)
    before = tree_of(tmp_path / "else") | tree_of(live)
    log = tmp_path / "store/log.jsonl"
    log.parent.mkdir()
    then = f"{scratch}{live}"
    settings = {"log": str(log), "root": then, "skip": [str(log.parent)], "scratch": str(scratch)}
    variables = {"LIN_RUN": RUN, "LIN_CAPTURE": json.dumps(settings), "PYTHONPATH": str(HOOK)}
    done = subprocess.run(
        [sys.executable, "-c", TABLES, live, link],
        env=dict(os.environ) | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stderr, done.stdout) == ("", "0 0\n0 True False\nTrue\n")
    assert tree_of(tmp_path / "else") | tree_of(live) == before
    assert [DeltaTable(f"{scratch}{table}").version() for table in (live / "a table", far, live / "made")] == [1, 2, 0]
    records, _ = decode_lines(log.read_bytes(), "it")
    seen = [
        (line.mode, line.path.removeprefix(str(scratch)), line.version) for line in records if isinstance(line, Seen)
    ]
    assert seen[:5] == [
        ("wrote", f"{live}/a table", 1),
        ("wrote", str(far), 1),
        ("read", str(far), 1),
        ("wrote", str(far), 2),
        ("wrote", f"{live}/made", 0),
    ]
