import json

from inline_snapshot import snapshot


def test_registers_what_was_exported(lin):
    lin("export", "boston@1", "out.zip")
    result = lin("import", "out.zip", "back", "-m", "from next door")
    assert (result.code, result.text, result.err) == snapshot(
        (
            0,
            """\
back@1 is the model of run ########, made by lin, there boston@1
it takes crim, rm, lstat
its example is predicted as the folder says, bit for bit
""",
            "",
        )
    )
    shown = lin("show", "back@1", "--json").json()
    assert "from next door" in json.dumps(shown)


def test_a_pickle_takes_a_word_and_stays_marked(lin):
    lin("export", "boston@1", "out", "--pickle")
    refused = lin("import", "out", "back")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.split(" (") == snapshot(
        [
            "error: the model folder holds a pickle",
            "model.pkl), which runs code when it is loaded",
            "hint: if you know who made it, this keeps it, unloaded and marked unsafe: lin import out back --pickle)\n",
        ]
    )
    result = lin("import", "out", "back", "--pickle")
    assert (result.code, result.text, result.err) == snapshot(
        (
            0,
            """\
back@1 is the model of run ########, made by lin, there boston@1
it takes crim, rm, lstat
""",
            """\
no golden predictions are kept: its model is a pickle, which runs code when it is loaded
warning: unsafe: the model of back@1 is a pickle, which runs code when it is loaded
""",
        )
    )
    assert lin("models", "--json").json()


def test_a_folder_that_was_changed_is_refused(lin, built):
    lin("export", "boston@1", "out")
    (built / "out/README.md").write_text("\x1b[2J")
    result = lin("import", "out", "back", "--trust", "a.B")
    assert (result.code, result.out) == (13, "")
    assert result.err.split(" (") == snapshot(
        [
            "error: the model folder is refused: 'README.md' is not what lin.json says: it is damaged, or was changed",
            "hint: ask for it anew, and look at what made it)\n",
        ]
    )
    assert lin("import", "out", "back", "--trust", "B").code == 2
