import pytest
from inline_snapshot import snapshot


def test_somebody_else_approves(lin, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LIN_ACTOR", "bob")
    words = [["-m", "looked at it"], [], ["--withdraw"], ["--withdraw"]]
    assert [lin("approve", "boston@2", *more).out for more in words] == snapshot(
        [
            "you approve of boston@2\n",
            "you approve of boston@2 already\n",
            "you approve of boston@2 no longer\n",
            "you had not approved of boston@2\n",
        ]
    )


def test_is_shown(lin, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LIN_ACTOR", "bob")
    lin("approve", "boston@2", "-m", "looked at it")
    assert "approved    0000-00-00 00:00:00 UTC by bob: looked at it\n" in lin("show", "boston@2").text
    assert lin("approve", "boston@2", "--withdraw", "--json").json() == snapshot(
        {
            "change": {"type": "approve", "model": "boston", "version": 2, "approved": False, "reason": None},
            "before": "approved",
            "event": 5,
        }
    )


def test_who_registered_it_does_not(lin):
    result = lin("approve", "boston@2")
    assert (result.code, result.out) == (1, "")
    assert result.err == snapshot("""\
error: ann registered boston@2, and cannot approve of it too (hint: ask somebody else for: lin approve boston@2)
""")
