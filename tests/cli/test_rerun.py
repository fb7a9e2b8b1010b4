from inline_snapshot import snapshot


def test_a_rerun_is_identical_and_keeps_its_receipt(lin):
    result = lin("rerun", "boston@1", "--json")
    verdict = result.json()
    assert (result.code, verdict["verdict"]) == (0, "identical")
    assert list(verdict) == snapshot(["run", "rerun", "verdict", "verification"])
    assert list(verdict["verification"]) == snapshot(
        ["first", "second", "verdict", "differences", "context", "largest", "tolerance"]
    )
    assert lin("show", "boston@1", "--json").json()["run"]["receipts"][0]["rerun"] == verdict["rerun"]
    original = verdict["run"][-8:]
    assert result.err == f"re-running {original}: Ridge alpha=1.0 on housing@0\n"


def test_a_program_cannot_be_re_run_yet(lin):
    lin("run", "--", "true")
    result = lin("rerun", "last")
    assert (result.code, result.out) == (14, "")
    assert "it is a command run" in result.err
