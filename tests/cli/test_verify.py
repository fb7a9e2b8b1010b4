from inline_snapshot import snapshot


def test_different_runs(lin):
    result = lin("verify", "boston@1", "boston@2")
    lines = [line for line in result.text.splitlines() if not line.startswith("artifact")]
    assert lines == snapshot(
        [
            "different: run ######## against ########",
            "compared: 2 params, 2 metrics, 5 artifacts, 506 golden predictions",
            "differs                                   ########            ########",
            "param               alpha                 1.0                 -",
            "param               random_state          567248              1",
            "metric              mae                   -                   1.09080… ",
            "metric              r2                    0.88447… 0.89615… ",
            "metric              rmse                  1.96698… 1.63747… ",
            "predictions         rows                  67                  102",
            "golden predictions  506 of 506 rows       24.54462… 24.51932… ",
            "largest difference: 0.353476",
            "what is recorded of them differs in: data, params, seed",
            "data: housing@0 -> housing@1, other data",
            "params: metrics rmse r2 -> none",
            "params: rows medv is not null -> none",
            "seed: seed 567248 -> 1",
        ]
    )
    assert (result.code, result.err) == (1, "")


def test_a_run_is_identical_to_itself(lin):
    result = lin("verify", "boston@1", "Ridge alpha=1.0")
    assert (result.code, result.text, result.err) == snapshot(
        (
            0,
            """\
identical: run ######## against ########
compared: 3 params, 2 metrics, 5 artifacts, 67 predictions, 506 golden predictions
""",
            "",
        )
    )


def test_within_a_tolerance(lin):
    words = ("verify", "Ridge alpha=1.0", "Ridge alpha=0.1")
    assert lin(*words).code == 1
    close = lin(*words, "--tolerance", 0.1, "--json")
    verdict = close.json()
    assert (close.code, verdict["verdict"], verdict["tolerance"]) == (0, "within tolerance", 0.1)
    assert verdict["differences"][0] == snapshot({"what": "param", "name": "alpha", "first": 1.0, "second": 0.1})
