import pytest
from inline_snapshot import snapshot


@pytest.fixture
def moved(lin):
    """boston@2, trained on predictions of boston@1, is in production."""
    assert lin("promote", "boston@2", "production").code == 0
    return lin


def test_puts_the_version_and_its_tables_back(moved):
    planned = moved("rollback", "boston", "--to", "1", "--tables", "--dry-run")
    assert (planned.code, planned.out, planned.err) == snapshot(
        (
            0,
            """\
boston would change, and nothing was
               from        to
boston@1       archived    production
boston@2       production  archived
table housing  version 1   version 0: 0 rows inserted, 0 deleted, 173 updated
""",
            "",
        )
    )
    done = moved("rollback", "boston", "--to", "1", "--tables", "-m", "feedback")
    assert (done.code, done.out, done.err) == snapshot(
        (
            0,
            """\
boston is rolled back, in event 5
               from        to
boston@1       archived    production
boston@2       production  archived
table housing  version 1   version 0, as version 2
""",
            "",
        )
    )
    assert [version["stage"] for version in moved("models", "--json").json()] == ["production", "archived"]
    assert moved("diff", "housing@0", "housing@2").out == snapshot("housing@0 -> housing@2: no difference\n")
    again = moved("rollback", "boston", "--to", "1", "--tables")
    assert (again.code, again.out, again.err) == snapshot((0, "all of boston is so already; nothing to do\n", ""))


def test_as_of_says_which_moment_and_answers_as_json(moved):
    first = moved("show", "boston@1", "--json").json()
    moment = next(move["time"] for move in (first.get("version") or first)["history"])
    done = moved("rollback", "boston", "--as-of", moment, "--json")
    assert done.code == 0
    result = done.json()
    assert (result.pop("as_of") is not None, result) == snapshot(
        (
            True,
            {
                "model": "boston",
                "stages": [
                    {"version": 1, "before": "archived", "after": "production"},
                    {"version": 2, "before": "production", "after": "archived"},
                ],
                "aliases": [],
                "tables": [],
                "event": 5,
                "dry_run": False,
                "nothing_to_do": False,
            },
        )
    )
    assert done.err.startswith("as of 2")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "say where to: one of --as-of and --to (hint: lin rollback MODEL --as-of TIME, or --to N)"),
        (["--to", "1", "--as-of", "now"], 2, "say where to: one of --as-of and --to (hint: lin rollback MODEL"),
        (["--as-of", "now", "--stage", "staging"], 2, "--stage goes with --to; --as-of puts every stage back"),
        (["--to", "2", "--stage", "staging"], 2, "boston@2 never was in staging, so there is no way back"),
        (["--to", "7"], 10, "model 'boston' has no version 7; it has 2"),
    ],
)
def test_what_makes_no_sense_is_said(lin, words, code, message):
    result = lin("rollback", "boston", *words)
    assert (result.code, result.out, result.err.startswith(f"error: {message}")) == (code, "", True)
