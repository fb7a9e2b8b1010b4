import pytest
from inline_snapshot import snapshot


def test_rows_by_key(lin):
    result = lin("diff", "housing@0", "housing@1", "--limit", 2)
    assert result.text == snapshot("""\
housing@0 -> housing@1: 0 inserted, 0 deleted, 173 updated, by ID

column  cells  were null  are null  largest movement
medv      173        173         0

   ID  medv
~  1   null -> 24.5446
~  2   null -> 17.8496
… and 171 more rows (--limit 173, or --output FILE for all)
""")
    assert (result.code, result.err) == (0, "")


def test_the_exit_code_tells_of_a_difference_when_asked(lin):
    assert lin("diff", "housing", 0, 1, "--exit-code").code == 1
    same = lin("diff", "housing", 1, 1, "--exit-code")
    assert (same.code, same.out) == snapshot((0, "housing@1 -> housing@1: no difference\n"))


def test_json(lin):
    diff = lin("diff", "housing", 0, 1, "--limit", 1, "--json").json()
    assert diff["rows"][0]["new"].pop("medv") == pytest.approx(24.5446, abs=1e-4)
    assert diff == snapshot(
        {
            "table": "housing",
            "old": 0,
            "new": 1,
            "key": ["ID"],
            "where": None,
            "ambiguous": False,
            "inserted": 0,
            "deleted": 0,
            "updated": 173,
            "columns": {"medv": 173},
            "details": {"medv": {"filled": 173, "emptied": 0, "largest": None}},
            "added_columns": [],
            "dropped_columns": [],
            "renamed_columns": {},
            "retyped_columns": [],
            "rows": [{"kind": "updated", "key": {"ID": 1}, "old": {"medv": None}, "new": {}}],
            "taken_at_their_word": [],
            "order_changed": None,
            "identical": False,
            "output": None,
        }
    )


def test_a_keyed_table_as_a_multiset(lin):
    diff = lin("diff", "housing", 0, 1, "--multiset", "--json").json()
    assert (diff["key"], diff["inserted"], diff["deleted"], diff["updated"]) == (None, 173, 173, 0)


def test_a_summary_of_chosen_columns_and_rows(lin):
    result = lin("diff", "housing", 0, 1, "--summary", "--columns", "medv, rm", "--where", "ID < 10")
    assert result.text == snapshot("""\
housing@0 -> housing@1: 0 inserted, 0 deleted, 7 updated, by ID, where ID < 10

column  cells  were null  are null  largest movement
medv        7          7         0
""")


def test_the_output_holds_every_changed_row(lin):
    result = lin("diff", "housing", 0, 1, "--summary", "--output", "changes.csv")
    assert result.text.splitlines()[-1] == "wrote 173 changed rows to changes.csv"
