"""What a watched Python tells of itself, and that it is otherwise as if it were not watched."""

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lin.records import LogLine, Seen, digest
from lin.store.runs import decode_lines, encode_line

HOOK = Path(__file__).parents[2] / "src/lin/hook"
RUN = "01a201514f167ef88a19803d300dcae9"
CSV = b"a,b\n1,2\n"


class Watched:
    """A project's folder, and programs that run in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / ".lin" / "log.jsonl"
        self.log.parent.mkdir(parents=True)

    def variables(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        settings = {"log": str(self.log), "root": str(self.root), "skip": [str(self.root / "kept")]}
        hook = {"LIN_RUN": RUN, "LIN_CAPTURE": json.dumps(settings), "PYTHONPATH": str(HOOK)}
        return dict(os.environ) | hook | dict(extra or {})

    def run(self, code: str, *flags: str, **extra: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, *flags, "-c", code],
            cwd=self.root,
            env=self.variables(extra),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def lines(self) -> list[LogLine]:
        records, damaged = decode_lines(self.log.read_bytes() if self.log.exists() else b"", "it")
        assert damaged == 0
        return records

    def seen(self, code: str, *flags: str, **extra: str) -> list[tuple[str, ...]]:
        """What the program was seen to open: mode and path in the project, with `@version` for tables."""
        self.log.unlink(missing_ok=True)
        done = self.run(code, *flags, **extra)
        assert (done.returncode, done.stderr) == (0, "")
        told = []
        for line in self.lines():
            assert isinstance(line, Seen)
            at = "" if line.version is None else f"@{line.version}"
            told.append((line.mode, os.path.relpath(line.path, self.root) + at))
        return told


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    root = tmp_path / "project"
    root.mkdir()
    (root / "a.csv").write_bytes(CSV)
    return Watched(root)


# --- what is told -----------------------------------------------------------------------------------------------------


def test_lines_are_those_that_the_record_would_write(watched: Watched) -> None:
    (watched.root / 'q"\u00e4\t.csv').write_bytes(CSV)
    watched.run("open('a.csv'); open('q\"\\u00e4\\t.csv'); open('new.json', 'w')")
    path = str(watched.root)
    expected = [
        Seen("read", f"{path}/a.csv", sha256=digest(CSV), bytes=len(CSV)),
        Seen("read", f'{path}/q"\u00e4\t.csv', sha256=digest(CSV), bytes=len(CSV)),
        Seen("wrote", f"{path}/new.json"),
    ]
    assert watched.log.read_bytes() == b"".join(map(encode_line, expected))


OPENS = {
    "read": ("open('a.csv')", [("read", "a.csv")]),
    "bytes": ("open(b'a.csv', 'rb')", [("read", "a.csv")]),
    "pathlib": ("import pathlib; pathlib.Path('a.csv').read_text()", [("read", "a.csv")]),
    "twice": ("open('a.csv'); open('./a.csv')", [("read", "a.csv")]),
    "changed": (
        "open('a.csv'); open('a.csv', 'a').write('3'); open('a.csv')",
        [("read", "a.csv"), ("wrote", "a.csv"), ("read", "a.csv")],
    ),
    "both": ("open('a.csv', 'r+')", [("read", "a.csv"), ("wrote", "a.csv")]),
    "create": ("open('n.csv', 'x')", [("wrote", "n.csv")]),
    "create in vain": ("import contextlib\nwith contextlib.suppress(OSError): open('a.csv', 'x')", []),
    "missing": ("import contextlib\nwith contextlib.suppress(OSError): open('no.csv')", []),
    "a folder": ("import os, contextlib\nos.mkdir('d.csv')\nwith contextlib.suppress(OSError): open('d.csv')", []),
    "capital letters": ("open('N.CSV', 'w')", [("wrote", "N.CSV")]),
    "packed": ("import gzip; gzip.open('n.csv.gz', 'w').close()", [("wrote", "n.csv.gz")]),
    "renamed": ("import os; open('n.tmp', 'w').close(); os.replace('n.tmp', 'n.csv')", [("wrote", "n.csv")]),
    "renamed in vain": ("import os, contextlib\nwith contextlib.suppress(OSError): os.rename('no', 'n.csv')", []),
    "in a renamed folder": (
        "import os; os.mkdir('t'); open('t/n.csv', 'w').close(); os.rename('t', 'd')",
        [("wrote", "t/n.csv"), ("wrote", "d/n.csv")],
    ),
    "copied": ("import shutil; shutil.copy('a.csv', 'n.csv')", [("read", "a.csv"), ("wrote", "n.csv")]),
    "by descriptor": ("import os; os.open(os.path.abspath('a.csv'), os.O_RDONLY)", [("read", "a.csv")]),
    "perhaps elsewhere": ("import os; os.open('a.csv', os.O_RDONLY)", []),
    "no data": ("open('a.txt', 'w'); open('csv', 'w'); open('a.csv.py', 'w')", []),
    "outside": ("open('../n.csv', 'w')", []),
    "by another way": (
        "import os; os.symlink(os.getcwd(), '../link'); open('../link/a.csv')",
        [("read", "a.csv")],
    ),
    "hidden or installed": (
        "import os\nfor f in ('.h', 'x/site-packages', '__pycache__'): os.makedirs(f); open(f + '/n.csv', 'w')",
        [],
    ),
    "skipped": ("import os; os.mkdir('kept'); open('kept/n.csv', 'w'); open('kept.csv', 'w')", [("wrote", "kept.csv")]),
    "no text": (
        "import os; open(b'n\\xff.csv', 'w'); open('n.csv', 'w')",
        [("wrote", "n\\xff.csv"), ("wrote", "n.csv")],
    ),
    "a pipe": ("import os; os.mkfifo('p.csv'); os.open(os.path.abspath('p.csv'), os.O_RDONLY | os.O_NONBLOCK)", []),
}


@pytest.mark.parametrize("name", OPENS)
def test_data_files_of_the_project_are_told(watched: Watched, name: str) -> None:
    code, told = OPENS[name]
    assert watched.seen(code) == told


CHILDREN = {
    "a child": "import subprocess, sys; subprocess.run([sys.executable, 'child.py'], check=True)",
    "a child of a shell": "import os, sys; os.system(f'{sys.executable} child.py')",
    "a fork": "import os\nif os.fork() == 0: open('a.csv'); os._exit(0)\nos.wait()",
}


@pytest.mark.parametrize("name", CHILDREN)
def test_what_the_program_starts_is_watched_too(watched: Watched, name: str) -> None:
    (watched.root / "child.py").write_text("open('a.csv')")
    assert watched.seen(CHILDREN[name]) == [("read", "a.csv")]


@pytest.mark.parametrize("flag", ["-S", "-I", "-E"])
def test_a_python_that_asks_for_nothing_of_the_environment_is_not_watched(watched: Watched, flag: str) -> None:
    assert watched.seen("open('a.csv')", flag) == []


def test_nothing_is_told_when_the_run_has_ended(watched: Watched) -> None:
    assert watched.seen("open('a.csv'); open('.lin/run.json', 'w').close(); open('n.csv', 'w')") == [("read", "a.csv")]


# --- the program is as it would be ------------------------------------------------------------------------------------

LOOK = """
import sys
print(sys.path, sorted(name for name in sys.modules if name.partition('.')[0] not in ('lin_hook', '__future__')))
"""


def test_paths_and_modules_are_those_of_an_unwatched_program(watched: Watched) -> None:
    elsewhere = str(watched.root / "elsewhere")
    for path in ("", elsewhere, f"{elsewhere}{os.pathsep}"):
        bare = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | ({"PYTHONPATH": path} if path else {})
        command = [sys.executable, "-c", LOOK]
        expected = subprocess.run(command, cwd=watched.root, env=bare, capture_output=True, text=True, check=True)
        hooked = f"{HOOK}{os.pathsep}{path}" if path else str(HOOK)
        assert watched.run(LOOK, PYTHONPATH=hooked).stdout == expected.stdout


def test_the_programs_own_sitecustomize_is_run(watched: Watched) -> None:
    own = watched.root / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("import sys; sys.mine = __file__; open('a.csv')")
    path = f"{HOOK}{os.pathsep}{own}"
    done = watched.run("import sys, sitecustomize; print(sys.mine == sitecustomize.__file__)", PYTHONPATH=path)
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert len(watched.lines()) == 1


@pytest.mark.parametrize("mistake", ["1 / 0", "import no_such_module"])
def test_what_is_wrong_with_its_sitecustomize_is_told_as_without_us(watched: Watched, mistake: str) -> None:
    own = watched.root / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text(mistake)
    code = "import sys; print('sitecustomize' in sys.modules)"
    ours = watched.run(code, PYTHONPATH=f"{HOOK}{os.pathsep}{own}")
    theirs = watched.run(code, PYTHONPATH=str(own))
    assert (ours.stdout, ours.stderr, ours.returncode) == (theirs.stdout, theirs.stderr, theirs.returncode)


@pytest.mark.parametrize("settings", ["{", "{}", '{"log": "/no/such/log", "root": "/", "skip": []}'])
def test_what_goes_wrong_is_silent_unless_asked(watched: Watched, settings: str) -> None:
    code = "print(open('a.csv').read())"
    done = watched.run(code, LIN_CAPTURE=settings)
    assert (done.stdout, done.stderr, done.returncode) == ("a,b\n1,2\n\n", "", 0)
    assert "Traceback" in watched.run(code, LIN_CAPTURE=settings, LIN_DEBUG="1").stderr


def test_a_hook_that_is_broken_is_silent_too(watched: Watched, tmp_path: Path) -> None:
    broken = shutil.copytree(HOOK, tmp_path / "hook")
    (broken / "lin_hook/watch.py").write_text("1 / 0")
    assert watched.run("print(1)", PYTHONPATH=str(broken)).stderr == ""
    shown = watched.run("print(1)", PYTHONPATH=str(broken), LIN_DEBUG="1")
    assert ("ZeroDivisionError" in shown.stderr, shown.stdout) == (True, "1\n")


def test_without_a_run_nothing_is_watched(watched: Watched) -> None:
    code = "import sys; print('lin_hook' in sys.modules)"
    assert [watched.run(code, **{name: ""}).stdout for name in ("LIN_RUN", "LIN_CAPTURE")] == ["False\n"] * 2
    assert watched.run(code).stdout == "True\n"


TIMEOUT = """
import os, signal
def too_long(*_): raise TimeoutError("too long")
signal.signal(signal.SIGALRM, too_long)
os.truncate("big.csv", 1 << 34)  # takes seconds to hash
signal.setitimer(signal.ITIMER_REAL, 0.2)
try:
    open("big.csv")
except TimeoutError as error:
    print(error)
"""


def test_what_a_signal_handler_raises_meanwhile_reaches_the_program(watched: Watched) -> None:
    (watched.root / "big.csv").touch()
    done = watched.run(TIMEOUT)
    assert (done.stdout, done.stderr) == ("too long\n", "")


def test_the_hook_is_written_for_old_pythons() -> None:
    for file in HOOK.rglob("*.py"):
        ast.parse(file.read_text(), feature_version=(3, 8))
    names = {
        alias.name.partition(".")[0]
        for file in (HOOK / "lin_hook").glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in ([ast.alias(node.module or "")] if isinstance(node, ast.ImportFrom) else node.names)
        if not (isinstance(node, ast.ImportFrom) and node.level)
    }
    assert names - sys.stdlib_module_names == {"deltalake"}


# --- libraries that open files themselves -----------------------------------------------------------------------------

LIBRARIES = {
    "pandas": (
        "import pandas; d = pandas.read_csv('a.csv'); d.to_parquet('n.parquet'); pandas.read_parquet('n.parquet')",
        ["read a.csv", "wrote n.parquet", "read n.parquet"],
    ),
    "parquet": (
        """
import pyarrow.parquet as p
p.write_table(x, 'd/1.parquet')
p.write_table(x, 'd/2.parquet')
p.read_table('d')
p.ParquetFile(source='d/1.parquet')
""",
        ["wrote d/1.parquet", "wrote d/2.parquet", "read d/1.parquet", "read d/2.parquet"],
    ),
    "dataset": (
        "import pyarrow.dataset as s; s.write_dataset(x, 'd', format='parquet'); s.dataset(['d/part-0.parquet'])",
        ["wrote d/part-0.parquet", "read d/part-0.parquet"],
    ),
    "csv": ("import pyarrow.csv as c; c.write_csv(c.read_csv('a.csv'), 'n.csv')", ["read a.csv", "wrote n.csv"]),
    "feather": (
        "import pyarrow.feather as f; f.write_feather(x, dest='n.data'); f.read_table('n.data')",
        ["wrote n.data", "read n.data"],
    ),
    "duckdb": ("import duckdb; duckdb.read_csv('*.csv').fetchall()", ["read a.csv"]),
    "elsewhere": (
        """
import pyarrow.fs as f
import pyarrow.parquet as p
other = f.SubTreeFileSystem('d', f.LocalFileSystem())
p.write_table(x, 'a.csv', filesystem=other)
p.read_table('a.csv', filesystem=other)
""",
        [],
    ),
}


def test_files_that_are_opened_in_other_languages_are_told(watched: Watched) -> None:
    steps = ["import os, pyarrow; x = pyarrow.table({'x': [1]})"]
    for name, (code, _) in LIBRARIES.items():
        (watched.root / name / "d").mkdir(parents=True)
        (watched.root / name / "a.csv").write_bytes(CSV)
        steps.append(f"os.chdir({str(watched.root / name)!r})\n{code}")
    told: dict[str, list[str]] = {name: [] for name in LIBRARIES}
    for mode, path in watched.seen("\n".join(steps)):
        name, _, rest = path.partition("/")
        told[name].append(f"{mode} {rest}")
    assert told == {name: expected for name, (_, expected) in LIBRARIES.items()}


# --- Delta tables -----------------------------------------------------------------------------------------------------


def make_table(root: Path) -> Path:
    """A table with two versions, of two and of three rows."""
    write_deltalake(root, pa.table({"x": [1, 2]}))
    write_deltalake(root, pa.table({"x": [3]}), mode="append")
    return root


def runs_of(table: Path) -> list[str | None]:
    """The run that each version names."""
    return [commit.get("lin.run") for commit in reversed(DeltaTable(table).history())]


PREPARE = """
import os
import pyarrow as pa
from deltalake import *
r = pa.table({"x": [3, 4]})
"""
READS = {
    "only_opened": ("t.version(); t.schema(); t.history(); t.metadata()", []),
    "newest": ("t.to_pandas(); t.to_pyarrow_table()", ["read 1"]),
    "older": ("DeltaTable(n, version=0).to_pyarrow_dataset()", ["read 0"]),
    "loaded": ("t.load_as_version(0); t.file_uris()", ["read 0"]),
    "query": ("QueryBuilder().register('q', t).execute('select * from q').read_all()", ["read 1"]),
    "by address": ("DeltaTable('file://' + os.getcwd() + '/by%20address').to_pandas()", ["read 1"]),
}
WRITES = {
    "append": ("write_deltalake(n, r, mode='append')", ["wrote 2"]),
    "to_opened": ("write_deltalake(t, r, mode='append')", ["wrote 2"]),
    "stale": ("o = DeltaTable(n, version=0); write_deltalake(o, r, mode='append')", ["wrote 2"]),
    "by_name": ("write_deltalake(table_or_uri=n, data=r, mode='overwrite')", ["wrote 2"]),
    "no_match": ("t.update({'x': '0'}, predicate='x = 99')", ["read 1"]),
    "ignored": ("write_deltalake(n, r, mode='ignore')", []),
    "update": ("t.update({'x': 'x + 1'})", ["read 1", "wrote 2"]),
    "delete": ("t.delete('x = 1')", ["read 1", "wrote 2"]),
    "merge": (
        "t.merge(r, 's.x = t.x', source_alias='s', target_alias='t').when_not_matched_insert_all().execute()",
        ["read 1", "wrote 2"],
    ),
    "compact": ("t.optimize.compact()", ["read 1", "wrote 2"]),
    "restore": ("t.restore(0)", ["wrote 2"]),
    "alter": ("t.alter.add_columns([Field('y', 'string')])", ["wrote 2"]),
}


def told_of_tables(watched: Watched, cases: dict[str, tuple[str, list[str]]]) -> dict[str, list[str]]:
    """What one program tells that does each of these things to a table of its own, `n`, opened as `t`."""
    for name in cases:
        make_table(watched.root / name)
    steps = (f"n = {name!r}; t = DeltaTable(n); {code}" for name, (code, _) in cases.items())
    told: dict[str, list[str]] = {name: [] for name in cases}
    # threads of pyarrow that still call Python abort some exits of the interpreter, with or without us
    for mode, reference in watched.seen(PREPARE + "\n".join([*steps, "os._exit(0)"])):
        name, _, version = reference.partition("@")
        told[name].append(f"{mode} {version}")
    return told


def test_the_version_that_was_read_is_told(watched: Watched) -> None:
    assert told_of_tables(watched, READS) == {name: told for name, (_, told) in READS.items()}
    assert [runs_of(watched.root / name) for name in READS] == [[None, None]] * len(READS)


def test_the_version_that_was_made_is_told_and_names_the_run(watched: Watched) -> None:
    assert told_of_tables(watched, WRITES) == {name: told for name, (_, told) in WRITES.items()}
    for name, (_, told) in WRITES.items():
        assert runs_of(watched.root / name) == [None, None, *[RUN for line in told if line == "wrote 2"]], name


def test_a_table_that_was_made_is_told(watched: Watched) -> None:
    made = """
write_deltalake('a', r)
DeltaTable.create('b', Schema([Field('x', 'long')]))
DeltaTable.create('b', Schema([Field('x', 'long')]), mode='ignore')
import pyarrow.parquet as p; os.mkdir('c'); p.write_table(r, 'c/1.parquet'); convert_to_deltalake('c')
"""
    told = watched.seen(PREPARE + made)
    assert told == [("wrote", "a@0"), ("wrote", "b@0"), ("wrote", "c/1.parquet"), ("wrote", "c@0")]
    assert [runs_of(watched.root / name) for name in "abc"] == [[RUN]] * 3


def test_what_the_program_says_of_its_commit_stays(watched: Watched) -> None:
    given = "p = CommitProperties(custom_metadata={'mine': '1', 'lin.run': 'theirs'}, max_commit_retries=3)"
    write = "write_deltalake('t', r, mode='append', commit_properties=p)"
    change, kept = "p.custom_metadata = {'mine': '2'}", "assert p.custom_metadata == {'mine': '2'}"
    table = make_table(watched.root / "t")
    watched.seen(f"{PREPARE}\n{given}\n{write}\n{change}\n{write}\n{kept}")
    second, first = DeltaTable(table).history(2)
    assert (first["mine"], first["lin.run"]) == ("1", "theirs")
    assert (second["mine"], second["lin.run"]) == ("2", RUN)


def test_a_write_that_fails_is_the_programs_to_hear_of(watched: Watched) -> None:
    table = make_table(watched.root / "t")
    code = PREPARE + "write_deltalake('t', r)"
    errors = [watched.run(code, LIN_RUN=run).stderr.splitlines()[-1] for run in (RUN, "")]
    assert errors[0] == errors[1]
    assert (watched.lines(), runs_of(table)) == ([], [None, None])
