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
        ]
    )
    assert (version["model"], version["version"], version["stage"]) == ("other", 1, "none")


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
