import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.cli.raw import TerminalText

PRINTS = "printf 'one\\n\\033[31mred\\033[0m \\033]0;evil\\007\\n\\377 last'"


def run_printing() -> None:
    """Its bytes are no text, which a test's own stdout has to be."""
    words = [sys.executable, "-m", "lin", "run", "--", "sh", "-c", PRINTS]
    subprocess.run(words, capture_output=True, check=True)


@pytest.mark.usefixtures("lin")
def test_prints_what_a_program_printed():
    run_printing()
    result = subprocess.run([sys.executable, "-m", "lin", "output", "last"], capture_output=True, check=True)
    assert result.stdout == b"one\n\x1b[31mred\x1b[0m \x1b]0;evil\x07\n\xff last"
    assert result.stderr == b""
    tail = subprocess.run(
        [sys.executable, "-m", "lin", "output", "last", "--tail", "1"], capture_output=True, check=True
    )
    assert tail.stdout == b"\xff last"


def test_a_run_without_output(lin):
    result = lin("output", "boston@1")
    assert (result.code, result.out) == (0, "")
    assert result.err.startswith("no program has printed anything in run ")


def test_what_has_no_output(lin):
    assert lin("output", "housing").code == 2
    assert lin("output", "nobody").code == 10


def on_terminal(*words: str) -> tuple[subprocess.Popen[bytes], int]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "lin", *words], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    return process, ours


def read_until(terminal: int, wanted: bytes, seconds: float = 20) -> bytes:
    seen, end = b"", time.monotonic() + seconds
    while wanted not in seen and time.monotonic() < end and select.select([terminal], [], [], 0.1)[0] is not None:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                seen += os.read(terminal, 65536)
            except OSError:  # the other end is closed
                break
    return seen


@pytest.mark.usefixtures("lin")
def test_a_terminal_is_not_commanded():
    run_printing()
    process, terminal = on_terminal("output", "last")
    seen = read_until(terminal, b"last\x1b[0m")
    assert process.wait(20) == 0
    os.close(terminal)
    assert seen == b"one\r\n\x1b[31mred\x1b[0m \\x1b]0;evil\\x07\r\n\\xff last\x1b[0m"


@pytest.mark.parametrize("ends", [True, False])
def test_follows_until_the_run_ends_or_one_leaves(lin, built: Path, ends: bool):
    go = built / "go"
    os.mkfifo(go)
    script = f"echo begun; read line < {go}; echo $line"
    runner = subprocess.Popen([sys.executable, "-m", "lin", "run", "--name", "long", "--", "sh", "-c", script])
    while "long" not in lin("runs").out:
        time.sleep(0.05)
    process, terminal = on_terminal("output", "long", "--follow")
    assert b"begun\r\n" in read_until(terminal, b"begun\r\n")
    if ends:
        go.write_text("done\n")
        assert b"done\r\n" in read_until(terminal, b"done\r\n")
        assert process.wait(20) == 0
    else:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert b"Traceback" not in read_until(terminal, b"Traceback", 0.3)
        go.write_text("done\n")
    os.close(terminal)
    assert runner.wait(20) == 0


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.one_of(st.sampled_from([b"\x1b", b"[", b"31", b";", b"m", b"J", "é\u202e".encode(), b"\r\n\t"]), st.binary())
    ),
    st.integers(1, 5),
)
def test_text_for_a_terminal_is_the_same_however_it_comes_and_has_no_power(pieces: list[bytes], step: int) -> None:
    data = b"".join(pieces)
    whole, parts = TerminalText(), TerminalText()
    shown = whole.feed(data) + whole.finish()
    assert "".join(parts.feed(data[at : at + step]) for at in range(0, len(data), step)) + parts.finish() == shown
    for at, character in enumerate(shown):
        if character == "\x1b":
            parameters, _, _ = shown[at + 1 :].partition("m")
            assert parameters[:1] == "["
            assert set(parameters[1:]) <= set("0123456789;")
        else:
            assert character.isprintable() or character in "\n\r\t"
    if "\x1b" in shown:
        assert shown.endswith("\x1b[0m")


def test_of_all_escapes_only_colours_pass():
    text = TerminalText()
    assert text.feed(b"\x1b[2J\x1b[1;31mred\x1b[H\x1b]8;;x\x07\x9b\xc2\x9b\r\x08") == (
        "\\x1b[2J\x1b[1;31mred\\x1b[H\\x1b]8;;x\\x07\\x9b\\x9b\r\\x08"
    )
    assert text.feed(b"\x1b[3") == ""
    assert text.feed(b"1m") == "\x1b[31m"
    assert text.feed(b"\x1b") + text.finish() == "\\x1b\x1b[0m"
