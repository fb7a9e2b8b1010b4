import sys

from inline_snapshot import snapshot


def test_makes_the_next_version(lin):
    result = lin("register", "Lasso alpha=0.5", "boston", "--description", "sparse")
    assert (result.code, result.text, result.err) == snapshot((0, "boston@3 is the model of run ########\n", ""))
    version = lin("register", "Lasso alpha=0.5", "other", "--json").json()
    assert list(version) == snapshot(
        [
            "model",
            "version",
            "stage",
            "run",
            "artifact",
            "sha256",
            "description",
            "registered",
            "actor",
            "history",
            "golden",
            "proof",
            "email",
            "signer",
            "aliases",
            "tags",
            "comments",
            "approvals",
            "unsafe",
        ]
    )
    assert (version["model"], version["version"], version["stage"]) == ("other", 1, "none")


def test_a_model_that_runs_code_is_told_to_be_unsafe(lin, built):
    (built / "model.pkl").write_bytes(b"a pickle")
    lin("run", "--", sys.executable, "-m", "lin", "log", "artifact", "model.pkl", "--name", "model/model.pkl")
    assert lin("register", "last", "boston").text == snapshot(
        "boston@3 is the model of run ########; unsafe: its file runs code when it is loaded\n"
    )


def test_a_description_commands_no_terminal(lin):
    result = lin("register", "last", "boston", "-m", "\x1b[2J")
    assert (result.code, result.err) == snapshot(
        (2, "error: the description holds the control character '\\x1b' (hint: leave it out)\n")
    )


def test_warns_of_a_model_trained_on_predictions(lin):
    result = lin("register", "last", "boston")
    assert (result.code, result.err) == snapshot(
        (0, "warning: boston@3 was trained on predictions of boston@1: housing@1 wrote them\n")
    )


def test_says_why_no_golden_predictions_are_kept(lin, built):
    (built / "model.skops").write_bytes(b"no model")
    lin("run", "--", sys.executable, "-m", "lin", "log", "artifact", "model.skops", "--name", "model/model.skops")
    result = lin("register", "last", "boston")
    assert (result.code, result.err) == snapshot((0, "no golden predictions are kept: the run read no table\n"))
