from inline_snapshot import snapshot


def test_a_dry_run_shows_what_would_change_and_writes_nothing(lin):
    result = lin("restore", "--version", 0, "--dry-run")
    assert result.text.splitlines()[:3] == snapshot(
        [
            "would make housing@2 equal to version 0:",
            "housing@1 -> housing@0: 0 inserted, 0 deleted, 173 updated, by ID",
            "changed cells: medv 173",
        ]
    )
    assert len(lin("history", "housing", "--json").json()) == 2


def test_restores_once(lin):
    first, second = lin("restore", "housing", "--version", 0, "-m", "fed on itself"), lin("restore", "--version", 0)
    assert (first.code, first.text, first.err) == snapshot(
        (0, "housing@2 is now equal to version 0: the same files, checked (run ########)\n", "")
    )
    assert (second.code, second.text, second.err) == snapshot(
        (0, "housing@2 is equal to version 0 already; nothing to do\n", "")
    )
    assert lin("history", "housing", "--json").json()[-1]["reason"] == "fed on itself"
    assert lin("diff", "housing", 0, 2, "--exit-code").code == 0


def test_to_what_a_run_read(lin):
    restored = lin("restore", "--run", "Ridge alpha=1.0", "--json").json()
    wanted = {"table": "housing", "head": 1, "restored": 0, "version": 2, "nothing_to_do": False, "dry_run": False}
    assert restored == wanted | {"diff": None, "run": lin("runs", "--all", "--limit", 1, "--json").json()[0]["id"]}


def test_to_what_it_was_at_a_time(lin):
    written = lin("history", "housing", "--json").json()[0]["time"]
    assert lin("restore", "--as-of", written, "--json").json()["restored"] == 0
