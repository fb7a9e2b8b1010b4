import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.cli.printing import WIDE, console_for, count, emit, fit_widths, safe, size

HOSTILE = "\x1b[31mred\x07\r\x9b2J\u202e\x7f\x00 \U000e0001\U0001f600"


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_safe_text_is_printable(text: str):
    shown = safe(text)
    assert shown.replace("\t", "").isprintable()
    if text.isprintable():
        assert shown == text


def test_json_stays_the_same_and_obeys_nobody(capsys: pytest.CaptureFixture[str]):
    emit({"name": HOSTILE}, lambda _: [], as_json=True)
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"name": HOSTILE}
    assert printed.removesuffix("\n").isprintable()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=8), st.integers(1, 200))
def test_columns_give_way_down_to_their_longest_word(columns: list[tuple[int, int]], room: int):
    natural, words = [max(pair) for pair in columns], [min(pair) for pair in columns]
    widths = fit_widths(natural, words, room, firm=range(8))
    if sum(words) > room:
        assert set(widths) == {None}
    else:
        assert sum(width or 0 for width in widths) == min(sum(natural), room)
        assert all(w <= (width or 0) <= n for w, width, n in zip(words, widths, natural, strict=True))


def test_the_widest_column_gives_way_first_and_numbers_last():
    assert fit_widths([30, 8, 8], [5, 2, 8], 36) == [20, 8, 8]
    assert fit_widths([30, 20, 12], [30, 20, 12], 50, firm={2}) == [19, 19, 12]
    assert fit_widths([30, 20, 12], [30, 20, 12], 27, firm={2}) == [None, None, None]


def test_counts_and_sizes_for_people():
    assert [count(number, "row") for number in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
    assert [size(number) for number in (None, 0, 999, 1000, 34_700, 2_500_000_000)] == [
        *("", "0 B", "999 B", "1.0 kB", "34.7 kB", "2.5 GB")
    ]


@pytest.mark.parametrize("size", ["9" * 5000, "\u00b2", "-5", "", "\x1b[31m"])
def test_a_size_that_is_none_is_passed_over(monkeypatch: pytest.MonkeyPatch, size: str) -> None:
    monkeypatch.setenv("COLUMNS", size)
    monkeypatch.setenv("LINES", size)
    assert console_for(stderr=False).width == WIDE
