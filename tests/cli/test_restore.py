from pathlib import Path

from deltalake import DeltaTable
from inline_snapshot import snapshot


def test_a_dry_run_shows_what_would_change_and_writes_nothing(lin):
    result = lin("restore", "--version", 0, "--dry-run")
    assert result.text.splitlines()[0] == snapshot("would make housing@2 equal to version 0:")
    assert "173 updated" in result.text
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
    wanted |= {"from_pin": False, "added_files": 1, "removed_files": 1, "settings": []}
    assert restored == wanted | {"diff": None, "run": lin("runs", "--all", "--limit", 1, "--json").json()[0]["id"]}


def test_to_what_it_was_at_a_time(lin):
    written = lin("history", "housing", "--json").json()[0]["time"]
    assert lin("restore", "--as-of", written, "--json").json()["restored"] == 0


def test_a_version_that_the_log_has_forgotten_comes_from_its_pin(lin, built: Path):
    DeltaTable(built / "data" / "housing").create_checkpoint()
    (built / "data" / "housing" / "_delta_log" / f"{0:020d}.json").unlink()
    assert lin("restore", "--run", "Ridge alpha=1.0", "--dry-run").text == snapshot("""\
would make housing@2 equal to version 0:
its log no longer has it; from its pin, 1 file would come back, 1 would go
""")
    result = lin("restore", "--version", 0)
    assert (result.code, result.text) == snapshot(
        (0, "housing@2 is now equal to version 0: from its pin, the same files, checked (run ########)\n")
    )
    assert lin("rerun", "boston@1").code == 0


def test_lost_files_are_listed(lin, built: Path):
    for path in built.glob("data/housing/*.parquet"):
        path.unlink()
    result = lin("restore", "--version", 0)
    assert (result.code, result.out) == (13, "")
    assert "housing@0 cannot be restored: data file 'part-" in result.err
    assert "is missing (hint: restore these files from a backup, or choose another version" in result.err


def test_properties_that_go_back_are_told(lin, built: Path):
    properties = {"delta.deletedFileRetentionDuration": "interval 9 days"}
    DeltaTable(built / "data" / "housing").alter.set_table_properties(properties)
    last = "table properties that go back too: delta.deletedFileRetentionDuration"
    for option in (["--dry-run"], []):
        assert lin("restore", "--version", 0, *option).out.splitlines()[-1] == last
