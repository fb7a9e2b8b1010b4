import pytest
from inline_snapshot import snapshot


def test_gives_and_takes_roles(lin):
    words = ["ann owner", "bob promoter", "bob promoter", "ann none", "bob none", "bob none", "bob owner"]
    told = [lin("grant", "boston", *each.split()) for each in words]
    assert [result.code for result in told] == [0, 0, 0, 2, 0, 0, 0]
    assert "".join(result.out + result.err for result in told) == snapshot("""\
ann is owner of model 'boston'
bob is promoter of model 'boston'
bob is promoter of model 'boston' already
error: ann is the last owner of model 'boston', and others have roles (hint: first: lin grant boston SOMEBODY owner)
bob is promoter of model 'boston' no more
bob has no role for model 'boston'
bob is owner of model 'boston'
""")
    assert "owner  ann, bob\n" in lin("show", "boston").out


def test_who_gives_away_all_is_told(lin):
    assert lin("grant", "boston", "ana@example.com", "Owner").out == snapshot(
        "ana@example.com is owner of model 'boston'; you are reader of it\n"
    )
    result = lin("grant", "boston", "ann", "owner")
    assert (result.code, result.out) == (1, "")
    assert result.err == snapshot("""\
error: ann may not make ann owner of boston: that takes the role owner for model 'boston', and ann is reader \
(hint: ask an owner (ana@example.com) for: lin grant boston ann owner)
""")
    shown = lin("show", "boston").text
    assert "refused  0000-00-00 00:00:00 UTC by ann: ann may not make ann owner of boston" in shown


def test_a_promotion_without_the_role_is_refused_and_kept(lin, monkeypatch: pytest.MonkeyPatch):
    lin("grant", "boston", "ann", "owner")
    monkeypatch.setenv("LIN_ACTOR", "eve")
    assert lin("promote", "boston@2", "production").code == 1
    (refusal,) = lin("show", "boston", "--json").json()["refusals"]
    assert (refusal["actor"], refusal["action"], refusal["version"]) == ("eve", "move boston@2 to production", 2)
    assert "refused     0000-00-00 00:00:00 UTC by eve: eve may not move boston@2" in lin("show", "boston@2").text


def test_a_role_goes_to_who_git_says_one_is(lin, monkeypatch: pytest.MonkeyPatch):
    lin("grant", "boston", "ana@example.com", "owner")
    for name, value in (("COUNT", "1"), ("KEY_0", "user.email"), ("VALUE_0", "ana@example.com")):
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    assert lin("alias", "boston@2", "champion").code == 0


def test_json_and_words_that_are_no_role(lin):
    result = lin("grant", "boston", "ann", "boss")
    assert (result.code, result.err) == snapshot(
        (2, "error: 'boss' is not a role (hint: roles are reader, promoter, owner, none)\n")
    )
    assert lin("grant", "boston", "ann", "owner", "-m", "hers", "--json").json() == snapshot(
        {
            "change": {"type": "grant", "model": "boston", "who": "ann", "role": "owner", "reason": "hers"},
            "before": None,
            "event": 4,
            "own_role": "owner",
        }
    )
