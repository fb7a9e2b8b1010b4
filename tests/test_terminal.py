"""Hostile text from data, files and people reaches the terminal as text: the real command, on a real terminal."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lin.events import Alias, Approve, Comment, Describe, Gate, Grant, Refuse, Stage, Tag
from lin.ids import new_id
from lin.models.changes import register_model
from lin.project import create_project
from lin.runs.add import add_table
from lin.runs.record import begin_run, capture
from lin.runs.train import MODEL

SOFT = "EVIL\x9b2J\u202e[/x][bold red]:boom:"
"""What may stand even where control characters are refused: C1 codes, bidirectional overrides, markup of rich."""

EVIL = f"{SOFT}\x1b[35;45m\x1b]0;title\x07\x1b]8;;http://e\x1b\\\x1b]52;c;aGk=\x07\r\x7f\nerror: FORGED"

OWN = re.compile(r"\r?\x1b\[(?:[0-9;]*m|1A|2K|\?25[lh])")
"""The escapes of lin's own output: styles, and the moves of the progress bar."""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with hostile text wherever lin takes text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("hostile")
    project = replace(create_project(folder, name="boston")[0], actor=EVIL)
    columns = {"ID": [1, 2], EVIL: [EVIL, None], "x": [1.0, 2.0], "y": [1.0, 2.0]}
    pq.write_table(pa.table(columns), folder / "evil.parquet")
    add_table(project, "evil", folder / "evil.parquet", key=["ID"], reason=EVIL)
    run = begin_run(
        project,
        capture(project),
        kind="command",
        name=EVIL,
        experiment=EVIL,
        reason=EVIL,
        command=[EVIL],
        params={SOFT: EVIL, "many": [EVIL]},
        tags={SOFT: EVIL},
    )
    run.log_metric(SOFT, 1.0)
    run.log_artifact(b"not a model", MODEL)
    run.log_artifact(b"", f"plots/{SOFT}")
    run.seal("finished", error=EVIL)
    register_model(replace(project, actor="ann"), run.id, "boston")
    gate = Gate(gate=EVIL, passed=False, evidence=EVIL)
    for change in (  # no lin writes such events, but who can write to the store can
        Describe(model="boston", text=EVIL, version=1),
        Alias(model="boston", alias=EVIL, version=1),
        Tag(model="boston", key=SOFT, value=EVIL, version=1),
        Tag(model="boston", key=EVIL, value=SOFT),
        Comment(model="boston", text=EVIL, version=1),
        Comment(model="boston", text=EVIL),
        Approve(model="boston", version=1, reason=EVIL),
        Stage(model="boston", version=1, stage=EVIL, reason=EVIL, gates=[gate], forced=True),
        Refuse(model="boston", action=EVIL, why=EVIL, gates=[gate]),
        Grant(model="boston", who=SOFT, role="reader"),
    ):
        project.store.events.append(
            lambda _, change=change: change, actor=EVIL, email=EVIL, op_id=new_id(), now=datetime.now(UTC)
        )
    return folder


def on_terminal(folder: Path, *words: str, columns: int = 100) -> tuple[int, str]:
    """Run `lin` with a terminal for its output; returns the exit code and what the terminal got, byte for byte."""
    ours, theirs = pty.openpty()
    attributes = termios.tcgetattr(theirs)
    attributes[1] &= ~termios.OPOST  # the terminal adds nothing of its own
    termios.tcsetattr(theirs, termios.TCSANOW, attributes)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "LIN_ACTOR": EVIL}
    environment.pop("COLUMNS", None)
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
    assert not [c for c in left if not c.isprintable() and c != "\n"]
    assert "35;45" not in "".join(OWN.findall(text))
    assert not [line for line in left.split("\n") if line.startswith("error: FORGED")]
    assert "Traceback" not in text
    assert "bug" not in text


@pytest.mark.parametrize(
    "words",
    [
        ["runs"],
        ["runs", "--all", "--json"],
        ["show", "last"],
        ["show", "evil"],
        ["show", "boston@1"],
        ["models"],
        ["history", "evil"],
        ["trace", "boston@1"],
        ["trace", "evil", "--json"],
        ["show", "boston"],
        ["status"],
        ["impact", "evil@0"],
        ["impact", "evil@0", "--mermaid"],
        ["trace", "boston@1", "--dot"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_text_is_shown_and_not_obeyed(hostile: Path, words: list[str]):
    code, text = on_terminal(hostile, *words)
    assert code == 0
    assert "EVIL" in text
    assert_tame(text)


def test_changed_rows_are_shown_and_not_obeyed(tmp_path: Path):
    import pyarrow as pa
    from deltalake import write_deltalake

    folder = tmp_path / "boston"
    folder.mkdir()
    create_project(folder, name="boston")
    for cell in ("tame", EVIL):
        write_deltalake(folder / "evil", pa.table({"ID": [1], EVIL: [cell]}), mode="overwrite")
    assert on_terminal(folder, "add", "evil", "evil", "--key", "ID")[0] == 0
    code, text = on_terminal(folder, "diff", "evil", "0", "1")
    assert (code, text.count("EVIL") > 2) == (0, True)
    assert_tame(text)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([EVIL], 2),
        ([f"--{EVIL}"], 2),
        (["runs", f"--{EVIL}"], 2),
        (["runs", "--limit", EVIL], 2),
        (["runs", "--where", EVIL], 2),
        (["show", f"no{EVIL}"], 10),
        (["history", EVIL], 10),
        (["promote", f"{EVIL}@1", "production"], 10),
        (["promote", "boston@1", "staging", "--reason", EVIL], 2),
        (["comment", "boston@1", EVIL], 2),
        (["alias", "boston@1", EVIL], 2),
        (["grant", "boston", EVIL, "owner"], 2),
        (["add", "wine", EVIL], 10),
        (["diff", "evil", "0", "0", "--key", f"no{EVIL}"], 2),
    ],
    ids=lambda value: " ".join(value).replace(EVIL, "EVIL") if isinstance(value, list) else None,
)
def test_errors_quote_and_do_not_obey(hostile: Path, words: list[str], expected: int):
    code, text = on_terminal(hostile, *words)
    assert text.startswith("error: ")
    assert text.count("\n") == (3 if "--where" in words and words[0] == "runs" else 1)
    assert code == expected
    assert_tame(text)


def test_a_hostile_lineage_toml_is_quoted(tmp_path: Path):
    (tmp_path / "lineage.toml").write_text('[project]\nname = "x"\n"\\u001b[35;45mEVIL\\u0007\\u202e" = 1\n')
    code, text = on_terminal(tmp_path, "runs")
    assert (code, text.count("EVIL")) == (2, 1)
    assert_tame(text)


def test_progress_and_warnings_of_fits_are_tame(hostile: Path):
    words = ("--table", "evil", "--target", "y", "--features", "x", "--test-size", "0.5")
    model = ("--model", "sklearn.linear_model.Ridge", "-P", f"solver='{EVIL}'")
    code, text = on_terminal(hostile, "train", *words, *model)
    assert code == 13
    assert "EVIL" in text
    assert_tame(text)


def test_a_narrow_terminal_breaks_between_words(hostile: Path):
    for columns in (80, 60):
        text = OWN.sub("", on_terminal(hostile, "history", "evil", columns=columns)[1])
        assert max(map(len, text.split("\n"))) <= columns
        assert "CREATE" in text
