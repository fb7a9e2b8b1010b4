from inline_snapshot import snapshot


def test_says_something_about_a_model_or_a_version(lin):
    assert lin("comment", "boston@1", "good\nas ever").out == snapshot("boston@1 has one comment more\n")
    assert lin("comment", "boston", "[bold]all[/] \u202efine").out == snapshot("boston has one comment more\n")
    assert "comment      0000-00-00 00:00:00 UTC by ann: good\n             as ever\n" in lin("show", "boston@1").text
    assert r"comment  0000-00-00 00:00:00 UTC by ann: [bold]all[/] \u202efine" in lin("show", "boston").text


def test_describes_it(lin):
    told = [lin("comment", "boston@2", "--description", text).out for text in ("newer", "newer", "", "")]
    assert told == snapshot(
        [
            "boston@2 is described\n",
            "boston@2 is described so already\n",
            "boston@2 has no description any more\n",
            "boston@2 has no description\n",
        ]
    )
    lin("comment", "boston", "--description", "prices of houses")
    assert "description  prices of houses\n" in lin("show", "boston").out


def test_json(lin):
    assert lin("comment", "boston@1", "good", "--json").json() == snapshot(
        {
            "change": {"type": "comment", "model": "boston", "text": "good", "version": 1},
            "before": None,
            "event": 4,
        }
    )


def test_takes_one_of_both(lin):
    for words in ([], ["text", "--description", "text"]):
        result = lin("comment", "boston", *words)
        assert (result.code, result.err) == snapshot(
            (
                2,
                "error: give a TEXT, or a --description (hint: lin comment boston@3 'looks good on new houses')\n",
            )
        )
