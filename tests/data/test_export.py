"""A diff as a file: applied to the old version it gives the new one, and a page needs nothing but itself."""

import csv
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.data.commit import Attribution
from lin.data.diff import diff_versions
from lin.data.tables import Table
from lin.data.write import create_table, replace_rows
from lin.errors import OutsideError, UsageError

BY = Attribution(run="r", user="ada", reason="a test", lin="0.1.0")
SCHEMA = pa.schema([("id", pa.int64()), ("x", pa.float64()), ("s", pa.string())])
Row = tuple[Any, ...]
Versions = Callable[..., Table]


def make_versions(root: Path, old: pa.Table, new: pa.Table, key: Sequence[str] = ("id",)) -> Table:
    table = Table("t", root, key=tuple(key))
    create_table(table.root, old.to_reader(), BY, now_ms=0)
    replace_rows(table, table.log.snapshot(), new.to_reader(), BY, now_ms=1)
    return table


def as_table(rows: list[Row]) -> pa.Table:
    return pa.table([[row[n] for row in rows] for n in range(3)], schema=SCHEMA)


value = st.one_of(st.none(), st.sampled_from([0.0, 1.5, math.inf]))
row = st.tuples(st.integers(0, 5), value, st.sampled_from([None, "", "a,b", 'say "x"', "é\n"]))


@settings(max_examples=40, deadline=None)
@given(
    old=st.lists(row, max_size=9),
    new=st.lists(row, max_size=9),
    key=st.sampled_from([(), ("id",)]),
    ending=st.sampled_from(["parquet", "jsonl", "json"]),
)
def test_applied_to_the_old_version_it_gives_the_new(
    tmp_path_factory: pytest.TempPathFactory, old: list[Row], new: list[Row], key: tuple[str, ...], ending: str
) -> None:
    root = tmp_path_factory.mktemp("diff")
    if key and ending != "parquet":  # there, an update is told by its key
        old, new = (list({row[0]: row for row in rows}.values()) for rows in (old, new))
    table = make_versions(root / "t", as_table(old), as_table(new), key)
    path = root / f"changes.{ending}"
    assert diff_versions(table, 0, 1, limit=0, output=path).output == str(path)
    rows = Counter(old)
    changes = read_parquet(path, key) if ending == "parquet" else read_json(path, old)
    for gone, come in changes:
        if gone is not None:
            assert rows[gone] > 0
            rows[gone] -= 1
        if come is not None:
            rows[come] += 1
    assert +rows == Counter(new)


def read_parquet(path: Path, key: tuple[str, ...]) -> list[tuple[Row | None, Row | None]]:
    changes = []
    for line in pq.read_table(path).to_pylist():
        sides = [tuple(line[n] if n in key else line[f"{side}.{n}"] for n in SCHEMA.names) for side in ("old", "new")]
        changes.append(
            (None if line["change"] == "inserted" else sides[0], None if line["change"] == "deleted" else sides[1])
        )
    return changes


def read_json(path: Path, rows: list[Row]) -> list[tuple[Row | None, Row | None]]:
    """Of an update there are the key and what changed: the rest is as it was in the old version."""
    text = path.read_text(encoding="utf-8")
    lines = json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]
    by_key = {row[0]: dict(zip(SCHEMA.names, row, strict=True)) for row in rows}
    changes: list[tuple[Row | None, Row | None]] = []
    for line in lines:
        sides = [line["old"], line["new"]]
        if line["kind"] == "updated":
            sides = [{**by_key[line["key"]["id"]], **cells} for cells in sides]
        gone, come = (
            side and tuple(math.inf if side[n] == "Infinity" else side[n] for n in SCHEMA.names) for side in sides
        )
        changes.append((gone, come))
    return changes


def test_a_csv_tells_null_from_empty_text(tmp_path: Path) -> None:
    old = as_table([(1, 1.0, "a"), (2, 2.0, "b")])
    new = as_table([(1, None, ""), (2, 2.5, None)])
    table = make_versions(tmp_path / "t", old, new)
    diff_versions(table, 0, 1, output=tmp_path / "c.csv")
    text = (tmp_path / "c.csv").read_text(encoding="utf-8")
    assert text.splitlines() == [
        '"change","id","old.x","new.x","old.s","new.s"',
        '"updated",1,1,,"a",""',
        '"updated",2,2,2.5,"b",',
    ]
    assert len(list(csv.reader(text.splitlines()))) == 3


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_types_that_a_file_lacks_are_text(tmp_path: Path, ending: str) -> None:
    old = pa.table({"id": [1], "l": [[1, 2]], "b": [b"\x00\xff"], "change": ["x"], "old.l": [1]})
    new = pa.table({"id": [1], "l": [[3]], "b": [b"\x01"], "change": ["y"], "old.l": [2]})
    table = make_versions(tmp_path / "t", old, new, key=("id", "change"))
    path = tmp_path / f"c.{ending}"
    assert diff_versions(table, 0, 1, output=path).inserted == 1
    if ending == "parquet":
        rows = pq.read_table(path)
        assert rows.column_names == [
            "change",
            "id",
            "change_",
            "old.l",
            "new.l",
            "old.b",
            "new.b",
            "old.old.l",
            "new.old.l",
        ]
        assert rows.column("old.l").to_pylist() == [[1, 2], None]
    else:
        lines = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
        assert lines[1] == ["deleted", "1", "x", "[1, 2]", "", "00FF", "", "1", ""]


class Page(HTMLParser):
    """What a browser would fetch or run, and the text it would show."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"src", "href", "action", "style"}]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_shows_foreign_text_and_runs_none_of_it(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    old = pa.table({"id": [evil, "b", "c"], evil: ["<img src=x onerror=alert(1)>", None, "\u202eabc"]})
    new = pa.table({"id": [evil, "b", "d"], evil: ["'\"&", "x", "y"]})
    table = make_versions(tmp_path / "t", old, new)
    path = tmp_path / "d.html"
    diff = diff_versions(table, 0, 1, output=path, where=f'"{evil}" IS NOT NULL')
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    assert not {"script", "img", "link", "iframe", "object"} & set(page.tags)
    assert page.links == []
    assert evil in page.text
    assert "\u202e" not in page.text
    assert (diff.inserted, diff.deleted, diff.updated) == (1, 1, 2)
    assert page.tags.count("tr") == 1 + 1 + 1 + 4


def test_a_page_says_what_is_not_on_it(tmp_path: Path) -> None:
    old = as_table([(n, 0.0, "") for n in range(1200)])
    new = as_table([(n, 1.0, "") for n in range(1200)])
    table = make_versions(tmp_path / "t", old, new)
    diff_versions(table, 0, 1, output=tmp_path / "d.html")
    assert "and 200 more rows that are not on this page" in (tmp_path / "d.html").read_text(encoding="utf-8")


def test_no_difference_makes_an_empty_file(tmp_path: Path) -> None:
    rows = as_table([(1, 1.0, "a")])
    table = make_versions(tmp_path / "t", rows, rows)
    for ending in ("parquet", "csv", "json", "jsonl", "html"):
        diff_versions(table, 0, 1, output=tmp_path / f"d.{ending}")
    assert pq.read_table(tmp_path / "d.parquet").num_rows == 0
    assert json.loads((tmp_path / "d.json").read_text(encoding="utf-8")) == []
    assert (tmp_path / "d.jsonl").read_bytes() == b""


@pytest.mark.parametrize(("name", "message"), [("d.xlsx", "cannot tell what to write"), ("no/d.csv", "no folder")])
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_read(
    tmp_path: Path, name: str, message: str
) -> None:
    rows = as_table([(1, 1.0, "a")])
    table = make_versions(tmp_path / "t", rows, rows)
    for file in table.log.snapshot().files:
        (table.root / file.path).unlink()
    with pytest.raises(UsageError, match=message):
        diff_versions(table, 0, 1, output=tmp_path / name)


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    table = make_versions(tmp_path / "t", as_table([(1, 1.0, "a")]), as_table([(1, 2.0, "a")]))
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(OutsideError, match="could not be written"):
        diff_versions(table, 0, 1, output=tmp_path / "d.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.csv", "t"]
