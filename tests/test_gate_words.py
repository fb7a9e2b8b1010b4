"""What a gate is and what none is; whatever the text, nothing but `UsageError` says so."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.errors import UsageError
from lin.gate_words import (
    Approved,
    Beats,
    Commented,
    Environed,
    Exits,
    Fulfils,
    NoFeedback,
    Reproduced,
    fill_words,
    parse_gate,
)

ALL = {
    "reproduced": Reproduced(tolerance=False),
    "reproduced within tolerance": Reproduced(tolerance=True),
    "no feedback": NoFeedback(),
    "comment required": Commented(),
    "environment recorded": Environed(),
    "approved by 2": Approved(2),
    "command: python check.py {model} 'a {version}'": Exits(("python", "check.py", "{model}", "a {version}")),
    "metrics.rmse < 6": Fulfils("metrics.rmse < 6"),
    "params.alpha <= 1 and not metrics.r2 > 0.8": Fulfils("params.alpha <= 1 and not metrics.r2 > 0.8"),
    "tags.note = 'x < current'": Fulfils("tags.note = 'x < current'"),
    "metrics.rmse < current": Beats("metrics.rmse", "<"),
    'metrics."a  < b">=current': Beats('metrics."a  < b"', ">="),
}


@pytest.mark.parametrize("text", ALL)
def test_each_gate_is_known(text: str) -> None:
    assert parse_gate(text) == ALL[text]


@pytest.mark.parametrize("text", [text for text in ALL if not isinstance(ALL[text], Fulfils | Beats | Exits)])
def test_case_and_blanks_do_not_matter(text: str) -> None:
    assert parse_gate(f"  {text.upper().replace(' ', '   ')}\n") == ALL[text]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("reproducd", "'reproducd' is not a gate", "did you mean 'reproduced'?"),
        ("no fedback", "'no fedback' is not a gate", "did you mean 'no feedback'?"),
        ("aproved by 3", "'aproved by 3' is not a gate", "did you mean 'approved by N'?"),
        ("comand: python check.py", "is not a gate", "did you mean 'command'?"),
        ("", "'' is not a gate", "gates are: reproduced, reproduced within tolerance, no feedback"),
        ("approved by 0", "asks nobody", "approved by 1"),
        ("command:", "names no program", "command: python check.py"),
        ("command: 'x", "No closing quotation", "{model}, {version}, {stage} and {run}"),
        ("command: x {versio}", "cannot be filled in: 'versio'", "{model}, {version}, {stage} and {run}"),
        ("command: x {model.upper.x}", "cannot be filled in", None),
        ("metrics.rmse = current", "says more than that", "'metrics.rmse < current'"),
        ("metrics.rmse < current and metrics.r2 > 0.8", "says more than that", "a gate of its own"),
    ],
)
def test_what_is_no_gate_is_named_with_the_nearest(text: str, message: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        parse_gate(text)
    assert message in caught.value.message
    assert (hint or "") in (caught.value.hint or "")


@given(
    st.one_of(
        st.text(max_size=60),
        st.text(max_size=40).map("command:{}".format),
        st.lists(st.sampled_from([*" <>=!(){}'\"`", "current", "metrics.", "command:", "approved by 9"])).map("".join),
    )
)
@settings(max_examples=50, deadline=None)
def test_any_text_is_a_gate_or_a_mistake_of_the_user(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert parse_gate(text)


@given(st.text(min_size=1))
@settings(max_examples=25, deadline=None)
def test_a_value_never_becomes_more_than_one_word(value: str) -> None:
    assert fill_words(("x", "{model}", "{{{stage}}}"), {"model": value, "stage": value}) == ["x", value, f"{{{value}}}"]
