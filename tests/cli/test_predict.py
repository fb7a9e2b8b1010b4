from pathlib import Path

import pytest
from inline_snapshot import snapshot

ROW = '{"crim": -0.256, "rm": 0.511, "lstat": -0.226}'


def test_a_row_is_one_number(lin):
    result = lin("predict", "boston@production", "--row", ROW)
    assert (result.code, result.err) == (0, "")
    assert float(result.out) == pytest.approx(24.5446, abs=1e-4)


def test_a_row_a_file_and_a_table_give_the_same(lin, built: Path):
    (built / "new.csv").write_text("crim,rm,lstat\n-0.256,0.511,-0.226\n")
    row = lin("predict", "boston@1", "--row", ROW, "--json").json()
    file = lin("predict", "models:/boston/1", "--file", "new.csv", "--json").json()
    table = lin("predict", "boston@1", "--table", "housing@0", "--where", "ID = 1", "--json").json()
    assert row["predictions"] == file["predictions"] == table["predictions"]
    assert table.pop("predictions") == pytest.approx([24.5446], abs=1e-4)
    assert table.pop("run") == lin("runs", "--all", "--limit", 1, "--json").json()[0]["id"]
    assert row["run"] is None
    assert table == snapshot(
        {
            "model": "boston@1",
            "table": "housing",
            "version": 0,
            "file": None,
            "rows": 1,
            "probabilities": {},
            "keys": {"ID": [1]},
            "extra": [],
            "output": None,
        }
    )


def test_a_table_is_shown_by_its_key_and_cut(lin):
    lines = lin("predict", "boston@1", "--table", "housing@0").out.splitlines()
    assert lines[0].split() == ["ID", "prediction"]
    assert lines[1].startswith("1   24.5446")
    assert lines[-1] == snapshot("… and 486 more (--json prints all, --output FILE keeps all)")
    assert len(lin("predict", "boston@1", "--table", "housing@0", "--json").json()["predictions"]) == 506


def test_into_a_new_column_and_nothing_left_to_fill(lin):
    result = lin("predict", "boston@1", "--table", "housing", "--into", "guess", "--where", "ID = 1", "-m", "a look")
    assert (result.code, result.text, result.err) == snapshot(
        (0, "1 null of guess filled by boston@1: housing@2 (run ########)\n", "")
    )
    assert lin("history", "housing", "--json").json()[-1]["reason"] == "a look"
    assert lin("predict", "boston@1", "--table", "housing", "--into", "medv").out == snapshot(
        "housing@2 has no nulls in 'medv' to fill; nothing to do\n"
    )


def test_into_as_json(lin):
    fill = lin("predict", "boston@1", "--table", "housing", "--into", "guess", "--json").json()
    assert fill.pop("run") == lin("runs", "--all", "--limit", 1, "--json").json()[0]["id"]
    assert fill == snapshot(
        {
            "model": "boston@1",
            "table": "housing",
            "column": "guess",
            "filled": 506,
            "overwritten": False,
            "base": 1,
            "version": 2,
            "extra": [],
        }
    )


def test_overwriting_is_asked_for(lin):
    words = ("predict", "boston@1", "--table", "housing", "--into", "medv", "--where", "ID < 4")
    assert lin(*words).out == snapshot("housing@1 has no nulls in 'medv' to fill; nothing to do\n")
    assert lin(*words, "--overwrite").text == snapshot("3 rows of medv filled by boston@1: housing@2 (run ########)\n")
    assert lin(*words, "--where", "ID < 0", "--overwrite").out == snapshot(
        "housing@2 has no rows to fill; nothing to do\n"
    )


def test_a_classifier_shows_probabilities(lin, built: Path):
    (built / "kinds.csv").write_text("x,kind\n" + "".join(f"{n},{'ab'[n > 9]}\n" for n in range(20)))
    lin("add", "kinds", "kinds.csv")
    estimator = "sklearn.naive_bayes.GaussianNB"
    lin("train", "--table", "kinds", "--target", "kind", "--model", estimator)
    lin("register", "last", "kinds")
    assert lin("predict", "kinds@1", "--row", '{"x": 3}').out == snapshot("""\
prediction  probability_a  probability_b
         a       0.999962    3.77895e-05
""")
    assert list(lin("predict", "kinds@1", "--row", '{"x": 3}', "--json").json()["probabilities"]) == snapshot(
        ["probability_a", "probability_b"]
    )
    lin("predict", "kinds@1", "--table", "kinds", "--output", "said.csv")
    assert (built / "said.csv").read_text().splitlines()[0] == snapshot('"prediction","probability_a","probability_b"')


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_an_output_is_a_file_and_a_run(lin, built: Path, ending: str):
    from lin.data.load import load_source

    result = lin("predict", "boston@1", "--table", "housing@0", "--where", "ID < 4", "--output", f"said.{ending}")
    assert (result.code, result.err) == (0, "")
    assert result.text == f"3 rows scored by boston@1: said.{ending} (run ########)\n"
    said = load_source(built / f"said.{ending}")
    assert said.column_names == ["ID", "prediction"]
    table = lin("predict", "boston@1", "--table", "housing@0", "--where", "ID < 4", "--json").json()
    assert said.column("prediction").to_pylist() == pytest.approx(table["predictions"], abs=1e-12)


def test_a_file_keeps_its_columns(lin, built: Path):
    (built / "new.csv").write_text('who,crim,rm,lstat\n"a ""b""",-0.256,0.511,-0.226\n007,1,2,3\n')
    result = lin("predict", "boston@1", "--file", "new.csv", "--output", "said.csv")
    assert result.err == snapshot("note: boston@1 takes no account of: who\n")
    lines = (built / "said.csv").read_text().splitlines()
    assert lines[0] == snapshot('"who","crim","rm","lstat","prediction"')
    assert lines[1].startswith('"a ""b""","-0.256","0.511","-0.226",24.54')
    assert lines[2].startswith('"007","1","2","3",')


def test_what_is_wrong_with_rows_is_told_at_once(lin, built: Path):
    before = lin("runs", "--all", "--json").json()
    (built / "bad.csv").write_text("crim,rm,lstat\n1,2,3\n4,much,6\n")
    told = {
        '{"crime": 1, "rm": "much", "lstat": 2}': (
            "the rows do not fit model boston@1: 'crim' is missing (there is 'crime'); "
            "'rm' is not of type double: 'much' (hint: it needs: crim double, rm double, lstat double)"
        ),
        "bad.csv": (
            "the rows do not fit model boston@1: 'rm' is not of type double: row 2 has 'much'"
            " (hint: it needs: crim double, rm double, lstat double)"
        ),
        '{"crim": 1, "rm": NaN, "lstat": 2}': (
            "model boston@1 cannot score these rows: Input X contains NaN. (hint: columns with nulls or NaN: rm)"
        ),
        '{"crim": 1, "crim": 2}': ("--row is not JSON: it names a column twice (hint: --row '{\"COLUMN\": 1.5}')"),
        '{"crim": 1e400, "rm": 99999999999999999999, "lstat": []}': (
            "the row cannot be read: 'rm' is a whole number beyond 64 bits: 99999999999999999999"
        ),
    }
    for given, message in told.items():
        result = lin("predict", "boston@1", "--file" if given == "bad.csv" else "--row", given)
        assert (result.out, result.err) == ("", f"error: {message}\n")
    assert lin("runs", "--all", "--json").json() == before


@pytest.mark.parametrize(
    "words",
    [
        ("--row", "{}", "--output", "x.csv"),
        ("--row", "{}", "--where", "ID > 1"),
        ("--file", "x.csv", "--into", "medv"),
        ("--table", "housing", "--overwrite"),
        ("--table", "housing", "-m", "why"),
        ("--table", "housing", "--into", "medv", "--output", "x.csv"),
        ("--table", "housing@0", "--into", "medv"),
        ("--table", "housing", "--output", "x.txt"),
        ("--table", "housing", "--output", "nowhere/x.csv"),
        ("--table", "housing", "--where", "ID > (SELECT min(ID) FROM rows)"),
        ("--table", "housing", "--trust", "?"),
        (),
    ],
)
def test_what_does_not_go_together_is_refused(lin, words: tuple[str, ...]):
    result = lin("predict", "boston@1", *words)
    assert (result.code, result.out) == (2, "")
    assert "hint" in result.err or "cannot be used" in result.err
