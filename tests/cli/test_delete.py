from inline_snapshot import snapshot

LASSO = "Lasso alpha=0.5"


def test_deletes_and_brings_back(lin):
    before = lin("runs", "--json").json()
    (run,) = [run["id"] for run in before if run["name"] == LASSO]
    result = lin("delete", LASSO, "-m", "wrong split")
    assert (result.code, result.text, result.err) == snapshot(
        (
            0,
            """\
run ######## (Lasso alpha=0.5) deleted
bring back: lin delete ######## --undo
""",
            "",
        )
    )
    assert [found["id"] for found in lin("runs", "--json").json()] == [r["id"] for r in before if r["id"] != run]
    assert lin("delete", LASSO).code == 10
    again = lin("delete", run)
    assert (again.code, again.text) == snapshot(
        (0, "run ######## (Lasso alpha=0.5) was deleted before, 0000-00-00 00:00:00 UTC by ann: wrong split\n")
    )
    back = lin("delete", run[-8:], "--undo")
    assert (back.code, back.text) == snapshot((0, "run ######## (Lasso alpha=0.5) is back\n"))
    assert lin("runs", "--json").json() == before
    assert lin("delete", run, "--undo").text == snapshot("run ######## (Lasso alpha=0.5) was not deleted\n")


def test_json_tells_what_became_of_each(lin):
    (done,) = lin("delete", LASSO, "--json").json()
    assert (done["name"], done["outcome"], done["actor"], done["reason"]) == (LASSO, "deleted", "ann", None)


def test_a_run_behind_a_model_stays(lin):
    result = lin("delete", LASSO, "Ridge alpha=1.0")
    assert (result.code, result.out) == (11, "")
    assert "is behind boston@1 (production), so it stays (hint: lin models)" in result.err
    assert lin("delete", LASSO).code == 0


def test_undo_and_ended_do_not_go_together(lin):
    assert lin("delete", LASSO, "--undo", "--ended").code == 2
