from inline_snapshot import snapshot


def test_names_a_version_and_moves_the_name(lin):
    told = [lin("alias", *words) for words in (["boston@1", "champion"], ["boston@1", "champion"])]
    told.append(lin("alias", "boston@latest", "champion", "-m", "better"))
    assert [(result.code, result.out, result.err) for result in told] == snapshot(
        [
            (0, "boston@1 has the alias champion\n", ""),
            (0, "boston@1 has the alias champion already\n", ""),
            (0, "boston@2 has the alias champion; it was that of boston@1\n", ""),
        ]
    )
    assert lin("show", "boston@champion", "--json").json()["version"]["version"] == 2
    assert lin("predict", "boston@champion", "--row", '{"crim": 0, "rm": 0, "lstat": 0}').code == 0


def test_takes_it_away(lin):
    lin("alias", "boston@1", "champion")
    result = lin("alias", "boston@2", "champion", "--drop")
    assert (result.code, result.err) == snapshot(
        (
            11,
            "error: 'champion' is the alias of boston@1, not of boston@2 (hint: lin alias boston champion --drop)\n",
        )
    )
    told = [lin("alias", "boston", "champion", "--drop").out for _ in range(2)]
    assert told == snapshot(
        ["boston@1 has the alias champion no more\n", "no version of model 'boston' has the alias champion\n"]
    )
    assert lin("show", "boston@champion").code == 2


def test_a_name_that_means_something_else(lin):
    result = lin("alias", "boston@1", "production")
    assert (result.code, result.out, result.err) == snapshot(
        (
            2,
            "",
            "error: 'production' cannot be an alias: it means a stage (hint: take another name, as champion)\n",
        )
    )


def test_json(lin):
    first = lin("alias", "boston@1", "champion", "-m", "best", "--json").json()
    assert first == snapshot(
        {
            "change": {"type": "alias", "model": "boston", "alias": "champion", "version": 1, "reason": "best"},
            "before": None,
            "event": 4,
        }
    )
    assert lin("alias", "boston@1", "champion", "--json").json()["event"] is None
