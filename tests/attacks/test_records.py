"""Hostile and damaged JSON in a store: whole files, single fields and lines end in a plain answer, in bounded time.

Where records carry a sha256 it is made right again, so that the content itself is what a reader meets.
"""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from zlib import crc32

import pytest

from lin.errors import NewerError, StoreError
from lin.records import StoreInfo, decode, digest

DEEP = 100_000
AT_ONCE = 2
MOST_SECONDS = 30
"""However busy this machine is."""
DOCUMENTS = {
    "deep": b"[" * DEEP,
    "deep and closed": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "empty": b"",
    "null": b"null\n",
    "nul": b"\0" * 100,
    "mark": b"\xef\xbb\xbf{}",
    "utf-16": '{"format":"KIND/1"}'.encode("utf-16"),
    "no utf-8": b'{"format":"KIND/1","id":"\xff"}\n',
    "text": b'"x"',
    "integer": b"9" * 5_000,
    "no number": b'{"format":"KIND/\xc2\xb2"}\n',
    "long number": b'{"format":"KIND/' + b"9" * 5_000 + b'"}\n',
    "twice": b'{"format":"KIND/1","format":"KIND/2"}\n',
    "newer": b'{"format":"KIND/2","x":1}\n',
    "deep below": b'{"commitInfo":{"x":' + b"[" * DEEP + b"]" * DEEP + b"}}\n",
    "format alone": b'{"format":"KIND/1"}\n',
}
VALUES = {
    "deep": b"[" * DEEP + b"]" * DEEP,
    "integer": b"9" * 5_000,
    "2^63": b"9223372036854775808",
    "2^64": b"18446744073709551616",
    "minus": b"-1",
    "1e999": b"1e999",
    "surrogate": b'"\\ud800"',
    "null": b"null",
    "nul": b'"a\\u0000b"',
    "terminal": b'"\\u001b]8;;x\\u0007[/x]"',
    "huge": b'"' + b"x" * 1_000_000 + b'"',
    "year 1": b'"0001-01-01T00:00:00Z"',
    "year 9999": b'"9999-12-31T23:59:59.999999Z"',
    "before year 1": b'"0001-01-01T00:00:00+23:59"',
    "path": b'"../../../../etc/passwd"',
    "empty": b'""',
    "list": b"[]",
    "object": b"{}",
}
MODELS = (["models"], ["show", "boston@1"], ["impact", "housing@0"], ["trace", "boston@1"], ["predict", "boston@1"])
RUNS = (["runs"], ["show", "RUN"], ["compare", "RUN", "RUN"], ["trace", "RUN"], ["artifacts", "RUN"], ["output", "RUN"])
STORE = (["status"], ["fsck"], ["gc"], ["tables"], ["why", "boston@1", "boston@1"])
TABLES = (["history", "housing"], ["diff", "housing@0", "housing@0"], ["tables"], ["show", "housing"], ["fsck"])
PLACES = {
    "start.json": (RUNS, STORE),
    "run.json": (RUNS, STORE),
    "log.jsonl": (RUNS, STORE),
    "event": (MODELS, STORE),
    "pin": (MODELS, TABLES),
    "source": (RUNS, STORE),
    "environment": (RUNS, STORE),
    "index": ([["runs"], ["status"]],),
    "commit": (TABLES, STORE),
    "lin.json": ([["import", "exported"]],),
}


@pytest.fixture(scope="session")
def run(_lab: Path) -> str:
    """The fit, whose model is registered."""
    event = json.loads((_lab / ".lin/events/000000000001.json").read_bytes())
    return event["change"]["run"]


def sealed(data: bytes) -> bytes:
    body = re.sub(rb',"sha256":"[0-9a-f]{64}"\}\n?$', b"}", data).rstrip(b"\n") + b"\n"
    return body[:-2] + b',"sha256":"' + digest(body).encode() + b'"}\n' if body.endswith(b"}\n") else body


def mutants(record: bytes) -> Iterator[bytes]:
    """A record with one hostile value after the other, each in another field."""
    fields = [name for name in json.loads(record) if name not in {"sha256", "format", "type"}]
    for field, value in zip(cycle(fields), VALUES.values(), strict=False):
        changed = json.loads(record) | {field: "@@"}
        changed.pop("sha256", None)
        yield json.dumps(changed, separators=(",", ":")).encode().replace(b'"@@"', value) + b"\n"


def place(lab: Path, what: str, run: str) -> Path:
    store = lab / ".lin"
    match what:
        case "event":
            return store / "events/000000000001.json"
        case "index":
            return store / "index/_delta_log/00000000000000000000.json"
        case "commit":
            return lab / "data/housing/_delta_log/00000000000000000000.json"
        case "pin" | "source" | "environment":
            start = json.loads(next(store.glob(f"runs/*/{run}/start.json")).read_bytes())
            named = {"pin": start["inputs"][0]["pin"], "environment": start["environment"]}
            sha256 = named[what] if what in named else start["source"]["tree"]
            return store / f"blobs/{sha256[:2]}/{sha256}"
        case "lin.json":
            return lab / "exported/lin.json"
    return next(store.glob(f"runs/*/{run}/{what}"))


def plant(lab: Path, path: Path, what: str, data: bytes) -> None:
    """Put it there, with the sums that it takes to be believed."""
    if what in {"start.json", "run.json", "event"}:
        path.write_bytes(sealed(data))
    elif what in {"pin", "source", "environment"}:
        sha256 = digest(data)
        (lab / f".lin/blobs/{sha256[:2]}").mkdir(exist_ok=True)
        (lab / f".lin/blobs/{sha256[:2]}/{sha256}").write_bytes(data)
        for record in (lab / ".lin/runs").glob("*/*/*.json"):
            record.write_bytes(sealed(record.read_bytes().replace(path.name.encode(), sha256.encode())))
    elif what == "log.jsonl":
        line = b"{" + data.lstrip(b"{").rstrip(b"\n") + b"\n"
        path.write_bytes(b'{"crc":"%08x",' % crc32(line) + line[1:])
    else:
        path.write_bytes(data)
    if what != "index":
        shutil.rmtree(lab / ".lin/index", ignore_errors=True)


@pytest.fixture
def attack(lab: Path, lin: Callable, run: str) -> Callable[..., None]:
    """Plants one thing after the other, asks `AT_ONCE` commands about each, all of them in turn, and heals."""

    def attack(what: str, documents: Callable[[bytes], Iterator[bytes]]) -> None:
        if what == "lin.json":
            assert lin("export", "boston@1", "exported").code == 0
        path = place(lab, what, run)
        commands = cycle(
            [run if word == "RUN" else word for word in words] for group in PLACES[what] for words in group
        )
        before = {file: file.read_bytes() for file in (*lab.glob(".lin/**/*.json"), *lab.glob("*/lin.json"), path)}
        for document in documents(path.read_bytes()):
            plant(lab, path, what, document)
            for words in islice(commands, AT_ONCE):
                ask(lin, words)
            for file, data in before.items():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)

    return attack


def ask(lin: Callable, words: list[str]) -> None:
    began = time.monotonic()
    answer = lin(*words)
    assert answer.code != 70, (words, answer.err)
    assert answer.code in {0, 1} or answer.err.startswith("error: "), (words, answer)
    assert "\x1b" not in answer.out + answer.err
    assert time.monotonic() - began < MOST_SECONDS, words


@pytest.mark.parametrize("what", PLACES)
def test_a_hostile_file_ends_in_a_plain_answer(attack: Callable[..., None], what: str) -> None:
    def documents(whole: bytes) -> Iterator[bytes]:
        kind = re.match(rb'\{"format":"(\w+)/', whole)
        yield from (document.replace(b"KIND", kind[1] if kind else b"x") for document in DOCUMENTS.values())

    attack(what, documents)


@pytest.mark.parametrize("what", PLACES)
def test_a_hostile_value_ends_in_a_plain_answer(attack: Callable[..., None], what: str) -> None:
    def documents(whole: bytes) -> Iterator[bytes]:
        line = whole.splitlines()[0]
        yield from mutants(b"{" + line[18:] if what == "log.jsonl" else line)

    attack(what, documents)


def test_a_format_that_is_no_number_is_damage() -> None:
    for number in ("\N{SUPERSCRIPT TWO}", "9" * 5_000, "-2", ""):
        with pytest.raises(StoreError) as refused:
            decode(f'{{"format":"store/{number}"}}'.encode(), StoreInfo, where="store.json")
        assert not isinstance(refused.value, NewerError)


def test_a_line_of_a_newer_lin_is_no_damage(lab: Path, lin: Callable, run: str) -> None:
    """Of a run that is not sealed: its log alone tells what it needs."""
    log = place(lab, "log.jsonl", run)
    line = b'{"type":"hologram","x":1}\n'
    log.write_bytes(log.read_bytes() + b'{"crc":"%08x",' % crc32(line) + line[1:])
    place(lab, "run.json", run).unlink()
    shutil.rmtree(lab / ".lin/index")
    for words in (["show", run], ["compare", run, run], ["artifacts", run], ["output", run], ["gc"], ["fsck"]):
        answer = lin(*words)
        assert (answer.code, "this lin does not know" in answer.err) == (12, True), (words, answer)
        assert "hint: upgrade lin" in answer.err
    assert "this lin does not know" in lin("runs").err
    assert lin("fsck", "--repair", "--yes").code == 12
    assert not (lab / ".lin/quarantine").exists()


def test_what_is_derived_or_set_aside_may_be_newer(lab: Path, lin: Callable) -> None:
    commit = lab / ".lin/index/_delta_log/00000000000000000000.json"
    commit.write_bytes(re.sub(rb"(format\W+index/)\d+", rb"\g<1>99", commit.read_bytes()))
    (lab / ".lin/quarantine/2099").mkdir(parents=True)
    (lab / ".lin/quarantine/2099/why.json").write_bytes(b'{"format":"quarantine/99"}\n')
    assert b"index/99" in commit.read_bytes()
    for words in (["runs"], ["status"], ["gc"], ["index"], ["fsck"]):
        answer = lin(*words)
        assert answer.code in {0, 1}, answer
    assert "Ridge" in lin("runs").out
