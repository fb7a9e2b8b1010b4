"""`docs/format.md` is the specification: its examples are decoded by the code, and the code's records are all in it."""

import json
import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from lin import events, recipes, records
from lin.lineage.fsck import repair
from lin.sealed import decode_sealed, encode_sealed
from lin.store.runs import decode_lines

PAGE = (Path(__file__).parent.parent / "docs/format.md").read_text()
EXAMPLES = re.findall(r"^```json\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
CHANGES = [
    line
    for block in re.findall(r"^```json changes\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
]
LINES = re.findall(r"^```json lines\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
KINDS = {
    kind.__struct_config__.tag: kind
    for module in (records, recipes, events, repair)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, records.Record) and kind.__struct_config__.tag_field == "format"
}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: json.loads(text)["format"])
def test_an_example_is_what_the_code_reads_and_writes(example: str) -> None:
    raw = json.loads(example)
    record = decode_sealed(example.encode(), KINDS[raw["format"]], where="the example")
    encode = encode_sealed if "sha256" in raw else records.encode
    assert json.loads(encode(record)) == raw


@pytest.mark.parametrize("example", CHANGES, ids=lambda text: json.loads(text)["type"])
def test_a_change_is_what_the_code_reads_and_writes(example: str) -> None:
    change = msgspec.json.decode(example, type=events.Change)
    assert json.loads(records.encode(change)) == json.loads(example)


def test_results_have_every_member() -> None:
    (example,) = [text for text in EXAMPLES if '"start/1"' in text]
    start = records.decode(example.encode(), records.Start, where="the example")
    full = json.loads(records.encode_in_full(start))
    assert set(json.loads(example)) < set(full)
    assert (full["format"], full["tags"], full["inputs"][0]["order"]) == ("start/1", {}, [])


def test_the_lines_of_a_log_carry_their_checksums() -> None:
    assert len(LINES) == 1
    lines, damaged = decode_lines(LINES[0].encode(), "the example")
    assert damaged == 0
    assert {type(line) for line in lines} >= {records.ParamSet, records.MetricPoint, records.ArtifactKept}


def test_every_record_and_every_change_is_on_the_page() -> None:
    assert {json.loads(example)["format"] for example in EXAMPLES} == set(KINDS)
    changes = {kind.__struct_config__.tag for kind in get_args(events.Change)}
    shown = {json.loads(example)["change"]["type"] for example in EXAMPLES if "change" in json.loads(example)}
    assert shown | {json.loads(example)["type"] for example in CHANGES} == changes
