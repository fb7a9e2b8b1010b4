"""No command lets data command the terminal: what every reading command, and every refusal, writes to a real one."""

import json
import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from lin.project import Project

NAME = "EVIL\x9b2J\u202e\u2066\u2069[/x][bold red]:boom:\u2028\u200f"
"""What may stand even where control characters are refused."""
TEXT = f"{NAME}\x1b[35;45m\x1b]8;;http://e\x1b\\\x1b]0;title\x07\x1bc\r\b\x7f\x0b\x0c\nerror: FORGED"
FILE = TEXT.replace("/", "")
QUOTED = '"' + NAME + '"'
OWN = re.compile(r"\r?\x1b\[(?:[0-9;]*m|1A|2K|\?25[lh])")
"""The escapes of lin's own output: styles, and the moves of the progress bar."""


class Hostile(NamedTuple):
    """A folder with a project, and its runs; in commands `{0}` stands for the first."""

    root: Path
    runs: list[str]


@pytest.fixture(scope="module")
def hostile(
    tmp_path_factory: pytest.TempPathFactory, plant: Callable[[Path, str, str], tuple[Project, list[str]]]
) -> Hostile:
    """A project with hostile text in all fields, strays of such names in its store, and a table that others made."""
    root = tmp_path_factory.mktemp("hostile")
    _, runs = plant(root, TEXT, NAME)
    _plant_table(root / "foreign")
    (root / ".lin" / FILE).write_text("stray")
    (root / ".lin" / "blobs" / FILE).write_text("stray")
    (root / "model").mkdir()
    (root / "model" / "MLmodel").write_text(json.dumps({"flavors": {TEXT: {TEXT: TEXT}}, TEXT: TEXT}))
    (root / FILE).mkdir()
    setting = f"[project]\nname = {json.dumps(TEXT)}\n[tables.{json.dumps(TEXT)}]\npath = {json.dumps(TEXT)}\n"
    (root / FILE / "lineage.toml").write_text(setting)
    return Hostile(root, runs)


def _plant_table(folder: Path) -> None:
    """A table whose last commit says hostile things of itself."""
    import pyarrow as pa
    from deltalake import write_deltalake

    rows = pa.table({"ID": ["a"], TEXT: [TEXT]})
    write_deltalake(folder, rows, name=TEXT, description=TEXT)
    write_deltalake(folder, rows, mode="append")
    log = folder / "_delta_log" / f"{1:020}.json"
    actions = [json.loads(line) for line in log.read_text().strip().split("\n")]
    told = dict.fromkeys(("operation", "userName", "userId", "engineInfo", "userMetadata", TEXT), TEXT)
    for action in actions:
        if "commitInfo" in action:
            action["commitInfo"] |= told | {"operationParameters": {TEXT: TEXT, "mode": TEXT}}
    log.write_text("".join(json.dumps(action) + "\n" for action in actions))


def on_terminal(folder: Path, *words: str) -> tuple[int, str]:
    """Run `lin` with a terminal for its output; returns the exit code and what the terminal got, byte for byte."""
    ours, theirs = pty.openpty()
    attributes = termios.tcgetattr(theirs)
    attributes[1] &= ~termios.OPOST  # the terminal adds nothing of its own
    termios.tcsetattr(theirs, termios.TCSANOW, attributes)
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "300"}
    child = subprocess.Popen(
        [sys.executable, "-m", "lin", *words], cwd=folder, env=environment, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    got = b""
    try:
        while chunk := os.read(ours, 1 << 16):
            got += chunk
    except OSError:
        pass  # Linux says so when the last writer has closed the terminal
    os.close(ours)
    return child.wait(), got.decode()


def assert_tame(text: str) -> None:
    """Nothing that a terminal obeys, and that lin did not write itself."""
    left = OWN.sub("", text)
    assert {c for c in left if not c.isprintable()} <= {"\n"}
    assert "35;45" not in "".join(OWN.findall(text))
    assert "\nerror: FORGED" not in left
    assert "Traceback" not in text
    assert "bug in lin" not in text


def fill(word: str, runs: list[str]) -> str:
    """The word, or the id of the run that it stands for."""
    return runs[int(word[1])] if re.fullmatch(r"\{\d\}", word) else word


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["compare", "{0}", "{2}"], 0),
        (["why", "{0}", "{2}", "--full"], 0),
        (["verify", "{0}", "{1}"], 1),
        (["doctor"], 14),
        (["rerun", "{0}", "--yes"], 14),
        (["artifacts", "{0}"], 0),
        (["blame", "evil"], 0),
        (["diff", "evil", "0", "1"], 0),
        (["trace", f"evil@1:{TEXT}"], 0),
        (["impact", f"evil@0:{TEXT}", "--dot"], 0),
        (["plot", "{0}", "--output", "x.png"], 0),
        (["runs", "--csv"], 0),
        (["runs", "--columns", f"params.{QUOTED},tags.{QUOTED}"], 0),
        (["fsck"], 1),
    ],
    ids=lambda value: " ".join(value[:2]).replace(TEXT, "TEXT") if isinstance(value, list) else None,
)
def test_what_is_read_is_shown_and_not_obeyed(hostile: Hostile, words: list[str], expected: int) -> None:
    code, text = on_terminal(hostile.root, *(fill(word, hostile.runs) for word in words))
    assert (code, "EVIL" in text) == (expected, True), text
    assert_tame(text)


def test_what_others_say_of_their_commits_is_shown_and_not_obeyed(hostile: Hostile) -> None:
    assert on_terminal(hostile.root, "add", "foreign", "foreign", "--key", "ID")[0] == 0
    code, text = on_terminal(hostile.root, "history", "foreign")
    assert (code, "EVIL" in text) == (0, True), text
    assert_tame(text)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["plot", "evil", "--columns", TEXT], 2),
        (["diff", "evil", "0", "1", "--where", TEXT], 2),
        (["restore", f"evil@{TEXT}"], 2),
        (["vacuum", "evil", "--retain", TEXT], 2),
        (["artifacts", "{0}", TEXT], 10),
        (["artifacts", "{0}", f"plots/{NAME}"], 10),
        (["run", "--", TEXT], 10),
        (["rerun", TEXT], 10),
        (["import", "model", "m"], 13),
        (["fsck", "--signers", TEXT], 2),
        (["runs", "--store", TEXT], 2),
        (["trace", f"file:{TEXT}"], 10),
        (["init", "--name", TEXT], 11),
        (["run", "--with", TEXT, "--", "true"], 2),
    ],
    ids=lambda value: " ".join(value[:3]).replace(TEXT, "TEXT") if isinstance(value, list) else None,
)
def test_refusals_quote_and_do_not_obey(hostile: Hostile, words: list[str], expected: int) -> None:
    code, text = on_terminal(hostile.root, *(fill(word, hostile.runs) for word in words))
    assert (code, "EVIL" in text) == (expected, True), text
    assert_tame(text)


def test_a_hostile_folder_with_hostile_settings_is_quoted(hostile: Hostile) -> None:
    code, text = on_terminal(hostile.root / FILE, "tables")
    assert (code, "EVIL" in text) == (2, True), text
    assert_tame(text)


def test_the_last_words_of_a_program_are_not_obeyed(hostile: Hostile) -> None:
    job = f"raise SystemExit({TEXT!r})"
    with subprocess.Popen(
        [sys.executable, "-m", "lin", "run", "--name", "dying", "--", sys.executable, "-c", job],
        cwd=hostile.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as child:
        assert child.wait() == 1
    for words in (["show", "dying"], ["rerun", "dying", "--yes"]):
        code, text = on_terminal(hostile.root, *words)
        assert code in {0, 1}
        assert_tame(text)
