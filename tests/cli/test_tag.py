from inline_snapshot import snapshot


def test_sets_changes_and_takes_away(lin):
    words = [["team=risk"], ["team=risk"], ["team=a=b"], ["reviewed="], ["--drop", "team"], ["--drop", "team"]]
    assert [lin("tag", "boston@2", *more).out for more in words] == snapshot(
        [
            "boston@2 has the tag team=risk\n",
            "boston@2 has the tag team=risk already\n",
            "boston@2 has the tag team=a=b; it was risk\n",
            "boston@2 has the tag reviewed=\n",
            "boston@2 has the tag team no more; it was a=b\n",
            "boston@2 has no tag team\n",
        ]
    )
    assert lin("models", "--json").json()[1]["tags"] == {"reviewed": ""}


def test_of_a_model_as_json(lin):
    assert lin("tag", "boston", "team=risk", "--json").json() == snapshot(
        {
            "change": {"type": "tag", "model": "boston", "key": "team", "value": "risk", "version": None},
            "before": None,
            "event": 4,
        }
    )


def test_says_what_it_takes(lin):
    for words in ([], ["team"], ["team=risk", "--drop", "team"], ["=risk"], ["team=\x1b[31m"]):
        result = lin("tag", "boston", *words)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith("error: ")
        assert "\x1b" not in result.err
    assert lin("tag", "boston", "team").err == snapshot(
        "error: 'team' is not KEY=VALUE (hint: to take a tag away: --drop team)\n"
    )
