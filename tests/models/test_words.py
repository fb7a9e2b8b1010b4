"""What may be written about a model."""

import pytest

from lin.errors import UsageError
from lin.models.words import LONGEST_NAME, LONGEST_TEXT, check_label, check_reason, check_text


@pytest.mark.parametrize("label", ["ann", "ana@example.com", "uid 1000", "Ünï", "x" * LONGEST_NAME, "[bold]a/b=c"])
def test_names_of_one_printable_line(label: str) -> None:
    assert check_label(label, "a person") == label


@pytest.mark.parametrize(
    "label", ["", " ", " ann", "ann ", "a\nb", "a\tb", "\x1b[31m", "\udcff", "\u202eann", "x" * (LONGEST_NAME + 1)]
)
def test_other_names_are_refused(label: str) -> None:
    with pytest.raises(UsageError, match="cannot name a person") as caught:
        check_label(label, "a person")
    assert len(caught.value.message) < 2 * LONGEST_NAME


@pytest.mark.parametrize("text", ["one\n\ttwo", "👩‍💻 läuft", "x" * LONGEST_TEXT])
def test_texts_may_have_lines(text: str) -> None:
    assert check_text(text, "the comment") == text
    assert check_reason(text) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the reason is blank"),
        (" \n\t", "the reason is blank"),
        ("\x1b]0;x\x07", r"the reason holds the control character '\x1b'"),
        ("a\rb", r"the reason holds the control character '\r'"),
        ("\x85", "the reason is blank"),
        ("a\x85b", r"the reason holds the control character '\x85'"),
        ("a\udcff", r"the reason holds the control character '\udcff'"),
        ("x" * (LONGEST_TEXT + 1), "the reason is 10001 characters long; 10000 are the most that are kept"),
    ],
)
def test_other_texts_are_refused(text: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_reason(text)
    assert caught.value.message == why


def test_a_reason_may_be_missing() -> None:
    assert check_reason(None) is None
