import subprocess
import sys

from inline_snapshot import snapshot


def test_lists_them(lin):
    result = lin("artifacts", "boston@1")
    assert result.text == snapshot("""\
artifact              kind      size  sha256
golden.parquet        table  00.0 kB  ############
model/model.skops     model   0.0 kB  ############
prediction_error.png  image  00.0 kB  ############
predictions.parquet   table   0.0 kB  ############
residuals.png         image  00.0 kB  ############
""")
    assert (result.code, result.err) == (0, "")
    assert [each["kind"] for each in lin("artifacts", "boston@1", "--json").json()] == [
        "table",
        "model",
        "image",
        "table",
        "image",
    ]
    lin("run", "--", "true")
    assert lin("artifacts", "last").out == "no artifacts\n"


def test_gets_them_into_a_folder(lin, built):
    result = lin("artifacts", "boston@1", "model", "residuals.png", "--to", "out")
    assert result.text == snapshot("""\
out/model/model.skops  0.0 kB
out/residuals.png      00.0 kB
2 files written, 00.0 kB
""")
    assert (built / "out/model/model.skops").stat().st_size > 1000
    again = lin("artifacts", "boston@1", "model", "residuals.png", "--to", "out")
    assert again.out.endswith("0 files written, 0 B, 2 there already\n")


def test_gets_one_by_its_address(lin, built):
    run = lin("show", "boston@1", "--json").json()["version"]["run"]
    got = lin("artifacts", f"runs:/{run}/model/model.skops", "--to", "here.skops", "--json").json()
    assert [(each["path"], each["file"], each["written"]) for each in got] == [
        ("model/model.skops", "here.skops", True)
    ]
    (built / "here.skops").write_bytes(b"mine")
    refused = lin("artifacts", f"runs:/{run}/model/model.skops", "--to", "here.skops")
    assert (refused.code, refused.err) == (
        11,
        "error: 'here.skops' is there, and another file (hint: --force overwrites it)\n",
    )
    assert lin("artifacts", run, "model/model.skops", "--to", "here.skops", "--force").code == 0


def test_prints_one(lin, built):
    (built / "note.bin").write_bytes(b"a note\xff\x1b[2J\0\n")
    lin("run", "--", sys.executable, "-m", "lin", "log", "artifact", "note.bin")
    words = [sys.executable, "-m", "lin", "artifacts", "last", "note.bin", "--cat"]
    assert subprocess.run(words, capture_output=True, check=True).stdout == b"a note\xff\x1b[2J\0\n"


def test_opens_one_in_the_viewer(lin, built, monkeypatch):
    viewer = built / "viewer"
    viewer.write_text('#!/bin/sh\ncp "$1" seen.png\n')
    viewer.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(viewer))
    result = lin("artifacts", "boston@1", "residuals.png", "--open")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"residuals.png: {viewer} shows ")
    assert (built / "seen.png").read_bytes().startswith(b"\x89PNG")


def test_what_does_not_go_together_is_refused(lin):
    for words, code, says in (
        ("boston@1 --cat --open", 2, "--cat and --open do not go together"),
        ("boston@1 --to x --cat", 2, "--to and --cat do not go together"),
        ("boston@1 --force", 2, "--force belongs to --to"),
        ("boston@1 model --cat --json", 2, "there is no --json of it"),
        ("boston@1 --cat", 2, "name the artifact that is meant"),
        ("boston@1 nothing", 10, "has no artifact 'nothing'"),
        ("housing", 2, "'housing' is a table"),
    ):
        result = lin("artifacts", *words.split())
        assert (result.code, result.out) == (code, "")
        assert says in result.err
