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
    assert table == snapshot({"model": "boston@1", "table": "housing", "version": 0, "rows": 1, "keys": {"ID": [1]}})


def test_a_table_is_shown_by_its_key_and_cut(lin):
    lines = lin("predict", "boston@1", "--table", "housing@0").out.splitlines()
    assert lines[0].split() == ["ID", "prediction"]
    assert lines[1].startswith("1   24.5446")
    assert lines[-1] == snapshot("… and 486 more (--json prints all)")
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
        {"model": "boston@1", "table": "housing", "column": "guess", "filled": 506, "base": 1, "version": 2}
    )
