"""What holds for every command: help, the table of commands, what start-up imports, and where output goes."""

import importlib
import json
import os
import subprocess
import sys
import typing
from pathlib import Path

import pytest
import typer

import lin.cli
from lin.cli.main import COMMANDS, word_of
from lin.errors import ExitCode
from lin.project import Project
from lin.version import __version__

SHARED = {
    "changes",
    "differences",
    "fits",
    "fsck_view",
    "graph_view",
    "main",
    "model_view",
    "options",
    "pictures",
    "predict_view",
    "printing",
    "progress",
    "raw",
    "run_view",
    "status_view",
    "streams",
    "writers",
    "attribution",
    "consent",
    "attribution_view",
    "golden",
    "variation",
    "verdict_view",
    "why_view",
}
LOG = ["param", "metric", "tag", "artifact"]
HEAVY = "pandas numpy sklearn pyarrow duckdb deltalake skops matplotlib psutil"
IMPORTED = """
import sys
from lin.cli.main import main
try:
    main(sys.argv[1:])
finally:
    sys.stderr.write(" ".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def functions(name: str) -> list[typing.Any]:
    """The functions of a command: one, or one for each of its subcommands."""
    module = importlib.import_module(f"lin.cli.{word_of(name)}")
    command = getattr(module, word_of(name))
    return [getattr(module, word) for word in LOG] if isinstance(command, typer.Typer) else [command]


def test_the_table_of_commands_is_what_the_modules_are():
    modules = {path.stem for path in Path(lin.cli.__path__[0]).glob("[a-z]*.py")}
    assert {word_of(name) for name in COMMANDS} == modules - SHARED


@pytest.mark.parametrize("name", COMMANDS)
def test_help_begins_with_the_summary(lin, name: str):
    result = lin(name, "--help")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[0].startswith(f"Usage: lin {name} ")
    assert result.out.splitlines()[2] == f"  {COMMANDS[name]}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_and_argument_has_help_and_a_name_in_capitals(name: str):
    for function in functions(name):
        for word, hint in typing.get_type_hints(function, include_extras=True).items():
            if word in {"return", "ctx"}:
                continue
            (setting,) = (extra for extra in hint.__metadata__ if hasattr(extra, "help"))
            assert setting.help, word
            assert typing.get_args(hint)[0] is bool or setting.metavar, word


def test_help_of_lin_lists_every_command(lin):
    for words in ([], ["--help"], ["-h"]):
        result = lin(*words)
        listed = [
            line.split(maxsplit=1) for line in result.out.split("Commands:\n")[1].splitlines() if line[:2] == "  "
        ]
        assert {words[0]: words[1].strip() for words in listed if words[0] in COMMANDS} == COMMANDS
        assert (result.code, result.err) == (0, "")


def test_subcommands_of_log_have_help(lin):
    for word in LOG:
        assert lin("log", word, "--help").code == 0


def test_version(lin):
    assert lin("--version").out == f"lin {__version__}\n"


@pytest.mark.parametrize(
    ("words", "unwanted"),
    [
        (["--version"], f"{HEAVY} msgspec rich"),
        (["--help"], f"{HEAVY} msgspec rich"),
        (["runs", "--json"], f"{HEAVY} rich"),
        (["models", "--json"], f"{HEAVY} rich"),
        (["runs"], HEAVY),
        (["tables"], HEAVY),
    ],
)
def test_start_up_imports_nothing_heavy(built: Path, words: list[str], unwanted: str):
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *words], cwd=built, capture_output=True, text=True, check=True
    )
    assert set(unwanted.split()) & set(done.stderr.split()) == set()


@pytest.mark.parametrize("words", ["diff housing 0 1", "show housing", "index --rebuild", "runs", "history housing"])
def test_a_process_ends_without_a_word_of_the_libraries(built: Path, words: str):
    lin = [str(Path(sys.executable).with_name("lin")), *words.split()]
    done = subprocess.run(lin, cwd=built, capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_a_reader_that_leaves_early_is_no_error(built: Path):
    reader, writer = os.pipe()
    os.close(reader)
    words = [sys.executable, "-m", "lin", "verify", "boston@1", "boston@2"]
    done = subprocess.run(words, cwd=built, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (ExitCode.NO, "")  # the answer, as ever


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_full_disk_behind_stdout_is_told(built: Path):
    with Path("/dev/full").open("w") as full:
        words = [sys.executable, "-m", "lin", "runs", "--json"]
        done = subprocess.run(words, cwd=built, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr == "error: the result cannot be written to stdout: No space left on device\n"
    assert done.returncode == ExitCode.OUTSIDE


def test_an_ascii_terminal_gets_escapes_and_json_stays_utf_8(built: Path):
    toml = (built / "lineage.toml").read_text()
    (built / "lineage.toml").write_text(toml.replace('path = "data/housing"', 'path = "data/Häuser→"'))
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    words = [sys.executable, "-m", "lin", "tables"]
    text = subprocess.run(words, cwd=built, env=environment, capture_output=True, check=True).stdout
    assert b"data/H\\xe4user\\u2192" in text
    record = subprocess.run([*words, "--json"], cwd=built, env=environment, capture_output=True, check=True).stdout
    assert json.loads(record)[0]["path"] == "data/Häuser→"


def test_lin_is_found_from_a_folder_below(lin, built: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(built / "data")
    assert len(lin("models", "--json").json()) == 2


def test_another_store_is_used_when_named(lin, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lin("init", "--store", tmp_path / "other")
    assert lin("runs", "--store", tmp_path / "other", "--json").json() == []
    monkeypatch.setenv("LIN_STORE", str(tmp_path / "other"))
    assert lin("runs", "--json").json() == []
    assert (built / "lineage.toml").read_text().count("store") == 1


INTERRUPTING = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path, target=None):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
"""


def test_an_interrupt_while_it_starts_is_as_quiet_as_any(tmp_path: Path):
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTING)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    words = [sys.executable, "-m", "lin", "runs"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (ExitCode.INTERRUPTED, "", "")


def test_an_interrupt_that_a_library_tells_as_its_failure_is_one(tmp_path: Path, project: Project):
    """As libraries in C++ do whose import was interrupted."""
    (tmp_path / "tomli_w.py").write_text("raise ImportError('initialization failed') from KeyboardInterrupt()")
    (tmp_path / "a.csv").write_text("a\n1\n")
    words = [sys.executable, "-m", "lin", "add", "a", str(tmp_path / "a.csv")]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(words, cwd=project.root, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "")
