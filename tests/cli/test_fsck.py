import json
import os
import re
from pathlib import Path

from inline_snapshot import snapshot

from lin.records import digest

BLOB = "blobs/{0:.2}/{0}"


def blot(text: str) -> str:
    return re.sub(r"run [0-9a-f]{8}\b", "run ########", text)


def blob(built: Path, path: str) -> str:
    return BLOB.format(digest((built / path).read_bytes()))


def test_a_whole_store(lin):
    result = lin("fsck")
    assert (result.code, result.err) == (0, "")
    first, *rest = result.out.splitlines()
    assert first.startswith("whole: looked at 3 events, 6 runs, ")
    assert first.endswith("2 pinned versions and 1 table; content was not read (lin fsck --read-data hashes it)")
    assert rest == []
    assert " hashed all of the content, " in lin("fsck", "--read-data").out
    assert " hashed 2.5% of the content, " in lin("fsck", "--read-data=2.5%").out


def test_what_is_wrong_what_needs_it_and_what_to_do(lin, built: Path):
    path = blob(built, "lineage.toml")
    settings = (built / "lineage.toml").read_bytes()
    (built / ".lin/\x1b[31mred").write_text("")
    with (built / ".lin" / path).open("ab") as file:
        file.write(b"\n")
    result = lin("fsck", "--json")
    assert result.code == 1
    found = result.json()
    assert [(finding["file"], finding["ill"]) for finding in found["findings"]] == [
        (path, "altered"),
        ("\x1b[31mred", "stray"),
    ]
    assert "\x1b" not in result.out
    shown = lin("fsck")
    assert "\x1b" not in shown.out
    assert blot(shown.out).replace(path, "BLOB").splitlines()[2:] == snapshot(
        [
            "BLOB: altered",
            "  its content has the sha256 7808369678704b049b626222783eb4da2cef9cf2e19ded2092886acac78c1d3d",
            "  needed by boston@1 (production), boston@2, run ########, run ########, run ######## and 2 more",
            "  the same content lies at ../lineage.toml: lin fsck --repair --yes puts it back",
            "",
            "\\x1b[31mred: stray",
            "  a file that lin did not put there",
            "  lin fsck --repair --yes moves it into quarantine",
        ]
    )
    assert (built / "lineage.toml").read_bytes() == settings


def test_repair_shows_first_and_does_then(lin, built: Path):
    path = blob(built, "lineage.toml")
    (built / ".lin" / path).unlink()
    (built / ".lin/notes").write_text("")
    result = lin("fsck", "--repair")
    assert result.code == 1
    assert result.out.replace(path, "BLOB").splitlines()[:4] == snapshot(
        [
            "would move 1 file into quarantine; would put back 1 blob",
            "  would move notes",
            "  would put back BLOB",
            "do it: lin fsck --repair --yes",
        ]
    )
    assert (built / ".lin/notes").exists()
    result = lin("fsck", "--repair", "--yes", "--json")
    assert result.code == 0
    done = result.json()
    assert (done["done"], done["moved"], done["put_back"], done["left"]) == (True, ["notes"], [path], 0)
    assert done["found"]["findings"] == []
    assert (built / ".lin" / done["quarantine"] / "root/notes").exists()
    assert json.loads((built / ".lin" / done["quarantine"] / "why.json").read_bytes())["actor"] == "ann"
    assert lin("fsck", "--repair").out.splitlines()[0] == snapshot("there is nothing that lin can repair")


def test_a_store_that_cannot_be_read(lin, built: Path):
    info = built / ".lin/store.json"
    whole = info.read_bytes()
    info.write_bytes(whole.replace(b"store/1", b"store/2"))
    newer = lin("fsck")
    info.unlink()
    gone = lin("fsck")
    again = lin("init")
    assert [newer.code, gone.code, again.code] == [12, 12, 12]
    assert not info.exists()
    assert newer.err.startswith("error: store.json is in format 'store/2', written by a newer lin; ")
    assert gone.err == snapshot(
        "error: store.json is missing from the store, which has runs or events "
        "(hint: restore that file from a backup of the store)\n"
    )


def test_a_read_only_store_is_looked_at_and_nothing_is_written(lin, built: Path):
    before = {path: path.stat().st_mtime_ns for path in (built / ".lin").rglob("*")}
    assert lin("fsck", "--read-data").code == 0
    assert {path: path.stat().st_mtime_ns for path in (built / ".lin").rglob("*")} == before
    (memory,) = Path(os.environ["HOME"], ".cache/lin/fsck").iterdir()
    assert memory.stat().st_mode & 0o777 == 0o600


def test_wrong_words(lin):
    for words in (["--read-data=lots"], ["--read-data=101%"], ["--yes"], ["--resume"], ["--read-data", "5%"]):
        assert lin("fsck", *words).code == 2
    assert lin("fsck", "--read-data=lots").err == snapshot(
        "error: 'lots' is no share of the content (hint: --read-data, or a share of it as --read-data=5%)\n"
    )
