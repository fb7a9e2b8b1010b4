from inline_snapshot import snapshot


def test_the_page_of_two_model_versions(lin):
    result = lin("why", "boston@1", "boston@2")
    assert result.text == snapshot("""\
feedback  173 of 506 rows of housing.medv were filled with predictions of boston@1 (A itself, production), from which boston@2 descends
          housing@1, by ann, 0000-00-00 00:00:00 UTC, run ########

boston@2 predicts otherwise than boston@1: rmse 1.96698 -> 1.63747 (better), 506 of 506 golden predictions changed

A  boston@1  run ########  Ridge alpha=1.0  0000-00-00 00:00:00 by ann  production
B  boston@2  run ########  Ridge            0000-00-00 00:00:00 by ann

data  housing@0 -> housing@1: 173 rows updated (medv)
      medv: 173 cells, all of them null before
      housing@1 WRITE, by ann, 0000-00-00 00:00:00 UTC, run ########, predictions of boston@1

params  alpha 1.0 only in A
        rows medv is not null -> -
        metrics rmse, r2 -> -

seed  seed 567248 -> 1

the same  source, environment, host

metric  boston@1  boston@2
r2      0.884479   0.89615  +0.0116706  better
rmse     1.96698   1.63747   -0.329509  better
mae                1.09081

predictions  golden: 506 of 506 rows changed, by -0.0564039 on average
             most: ID 184: 9.24384 -> 8.89036
             then: ID 19: 15.004 -> 14.6655
             then: ID 266: 22.1589 -> 21.8414
             test rows: 8 of 8 rows changed, by -0.0277099 on average, 59 only in A, 94 only in B
             most: ID 420: 8.64602 -> 8.47163
             then: ID 335: 25.3178 -> 25.2418
             then: ID 398: 15.787 -> 15.7278

files  model/model.skops, prediction_error.png, residuals.png

likely cause  boston@2 was trained on predictions of boston@1 itself: 173 cells of its target medv. Data, params and seed differ; the records do not tell which of them did it

do next  lin restore housing --version 0         the old rows, as a new version
         lin rerun boston@2 --with-current-data  boston@2 on the old rows
         lin why boston@1 boston@2 --attribute   which of them did it, by running
""")  # noqa: E501  the page as it is
    assert (result.code, result.err) == (0, "")


def test_the_version_before_and_what_it_meant_then(lin):
    alone = lin("why", "boston@2", "--json").json()
    assert (alone["a"]["model"], alone["b"]["model"]) == ("boston@1", "boston@2")
    then = lin("why", "boston@production", "--as-of", "now")
    assert (then.code, then.text) == snapshot(
        (
            0,
            """\
both are boston@1, run ########

A  boston@1  run ########  Ridge alpha=1.0  0000-00-00 00:00:00 by ann  production
B  boston@1  run ########  Ridge alpha=1.0  0000-00-00 00:00:00 by ann  production

the same  data, source, environment, params, seed, host

so  they agree: nothing to explain
""",
        )
    )
    assert lin("why", "boston@production", "--as-of", "2001-01-01").code == 10


def test_json_has_all_of_it(lin):
    found = lin("why", "boston@1", "boston@2", "--json").json()
    assert found["cause"]["kind"] == "feedback"
    assert found["cause"]["axes"] == ["data", "params", "seed"]
    assert [each["written"]["cells"] for each in found["feedback"]] == [173]


def test_the_source_line_by_line(lin, built):
    for number in (1, 2):
        (built / "long.py").write_text("".join(f"x{at} = {at * number}\n" for at in range(40)))
        lin("run", "--name", f"number {number}", "--", "sh", "-c", f"test {number} = 1")
    short, full = lin("why", "number 1", "number 2"), lin("why", "number 1", "number 2", "--full")
    assert "source  changed long.py (+39 -39)" in short.out
    assert "more lines of long.py: +39 -39 (--full)" in short.out
    assert full.out.count("\n+x") == 39
    newest = lin("runs", "--limit", "1", "--json").json()[0]
    assert short.out.startswith(f"{newest['id'][-8:]} failed, ")


def test_hostile_names_stay_text(lin):
    for word in ("\x1b[31m", "[red]"):
        lin("run", "--name", word, "--", "sh", "-c", f"echo '{word}'")
    runs = lin("runs", "--limit", "2", "--json").json()
    result = lin("why", *(run["id"] for run in reversed(runs)))
    assert "\x1b" not in result.out
    assert "[red]" in result.out


def test_usage(lin):
    assert lin("why").code == 2
    assert lin("why", "boston@1").code == 2
    assert lin("why", "boston@1", "boston@2", "last").code == 2
    assert lin("why", "nobody", "boston@2").code == 10


def test_what_others_recorded_is_not_run_unasked(lin, monkeypatch):
    monkeypatch.setenv("LIN_ACTOR", "bob")
    before = len(lin("runs", "--all", "--json").json())
    result = lin("why", "boston@1", "boston@2", "--attribute")
    assert (result.code, "lin why A B --attribute --yes" in result.err) == (2, True)
    assert len(lin("runs", "--all", "--json").json()) == before
