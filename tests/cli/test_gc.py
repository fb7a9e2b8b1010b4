import re
from pathlib import Path

from inline_snapshot import snapshot

LASSO = "Lasso alpha=0.5"


def told(text: str) -> str:
    """Without sizes, and without how many blobs are needed: what is loaded before a run makes another environment."""
    text = re.sub(r"(\d[\d.]* )(k?B)\b", lambda found: f"0 {found[2]}", text)
    return re.sub(r"\d+ blobs that are needed", "N blobs that are needed", text)


def test_shows_first_takes_then_and_finds_nothing_more(lin, built: Path):
    assert told(lin("gc").text) == snapshot("""\
nothing to take
kept: 6 runs, N blobs that are needed
""")
    lin("delete", LASSO, "-m", "wrong split")
    files = {path for path in built.rglob("*") if path.is_file()}
    result = lin("gc")
    assert (result.code, told(result.text), result.err) == snapshot(
        (
            0,
            """\
would take 1 deleted run, 5 blobs: 0 kB
run       name             deleted (UTC)        by   reason
########  Lasso alpha=0.5  0000-00-00 00:00:00  ann  wrong split
kept: 5 runs, N blobs that are needed
take it: lin gc --yes
""",
            "",
        )
    )
    assert {path for path in built.rglob("*") if path.is_file()} == files
    planned = lin("gc", "--json").json()
    taken = lin("gc", "--yes", "--json").json()
    assert taken == planned | {"taken": True}
    assert told(lin("gc", "--yes").text) == snapshot("""\
nothing to take
kept: 5 runs, N blobs that are needed
""")


def test_what_models_and_tables_need_is_there_afterwards(lin):
    lin("delete", LASSO)
    lin("gc", "--yes")
    assert lin("verify", "boston@1", "boston@1").code == 0
    assert lin("rerun", "boston@1").code == 0
    assert lin("tables", "--check").code == 0


def test_says_what_is_too_young(lin):
    lin("delete", LASSO)
    assert told(lin("gc", "--older-than", "7d").text) == snapshot("""\
nothing to take
kept: 5 runs, N blobs that are needed
kept: 1 run that was deleted too recently, or is behind a model version
""")


def test_a_wrong_age(lin):
    result = lin("gc", "--older-than", "soon")
    assert (result.code, result.err) == snapshot(
        (
            2,
            """\
error: 'soon' is no time span (hint: write it as '7 days'; units are seconds, minutes, hours, days, weeks)
""",
        )
    )
