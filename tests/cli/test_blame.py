import json

import pytest
from inline_snapshot import snapshot


def test_the_writers_and_the_version_of_each_cell(lin):
    result = lin("blame", "housing", "--limit", 2)
    assert result.text == snapshot("""\
housing@1: who last wrote the cells of 506 rows
version  time (UTC)           user  run       model     rows  cells  columns
      1  0000-00-00 00:00:00  ann   ########  boston@1   173    173  medv
      0  0000-00-00 00:00:00  ann   ########             333   1851  all

the version of each cell:
row   crim  rm  lstat  medv
ID 1     0   0      0     1
ID 2     0   0      0     1
… and 504 more rows (--limit 506)
""")
    assert (result.code, result.err) == (0, "")


def test_one_row_tells_the_writer_of_each_column(lin):
    assert lin("blame", "housing", "--key", 454).text == snapshot("""\
housing@1, ID 454: last written in version 1
column  value    version  time (UTC)           user  run       model
crim    1.885          0  0000-00-00 00:00:00  ann   ########
rm      1.316          0  0000-00-00 00:00:00  ann   ########
lstat   0.771          0  0000-00-00 00:00:00  ann   ########
medv    21.1192        1  0000-00-00 00:00:00  ann   ########  boston@1
""")
    assert lin("blame", "housing@1", "--key", "ID=4", "--column", "ID", "--column", "medv").text == snapshot("""\
housing@1, ID 4: last written in version 1
column  value    version  time (UTC)           user  run       model
ID      4              0  0000-00-00 00:00:00  ann   ########
medv    23.9152        1  0000-00-00 00:00:00  ann   ########  boston@1
""")


def test_an_older_version(lin):
    result = lin("blame", "housing@0", "--column", "medv", "--limit", 0)
    assert result.text == snapshot("""\
housing@0: who last wrote the cells of 506 rows
version  time (UTC)           user  run       rows  cells  columns
      0  0000-00-00 00:00:00  ann   ########   506    506  medv
""")
    assert lin("blame", "housing", "--version", 0, "--column", "medv", "--limit", 0).text == result.text
    both = lin("blame", "housing@0", "--version", 1)
    assert (both.code, both.err) == snapshot(
        (2, "error: 'housing@0' and --version 1 are two versions (hint: lin blame housing@1)\n")
    )


def test_through_a_restore_or_not(lin):
    lin("restore", "housing", "--version", 0)
    through, not_through = lin("blame", "housing", "--json"), lin("blame", "housing", "--not-through-restore", "--json")
    assert [writer["version"] for writer in through.json()["writers"]] == [0]
    assert [(w["version"], w["columns"].get("medv")) for w in not_through.json()["writers"]] == [(2, 173), (0, 333)]


def test_what_can_no_longer_be_told(lin, built):
    (log,) = built.glob("**/00000000000000000000.json")
    (path,) = [add["path"] for line in log.read_text().splitlines() if (add := json.loads(line).get("add"))]
    (log.parent.parent / path).unlink()
    assert lin("blame", "housing", "--column", "medv", "--limit", 1).text == snapshot("""\
housing@1: who last wrote the cells of 506 rows
version  rows  cells  columns
    ≤ 1   506    506  medv

the version of each cell:
row   medv
ID 1   ≤ 1
… and 505 more rows (--limit 506)
≤ N: in version N or before it; what is left of the table does not tell which
""")
    assert lin("blame", "housing", "--column", "medv", "--key", 1).text == snapshot("""\
housing@1, ID 1: last written in version 1 or before
column  value    version
medv    24.5446      ≤ 1
≤ N: in version N or before it; what is left of the table does not tell which
""")


def test_json(lin):
    blame = lin("blame", "housing", "--key", 1, "--column", "medv", "--json").json()
    (writer,), (row,) = blame["writers"], blame["listed"]
    assert (writer.pop("time")[-1], len(writer.pop("run"))) == ("Z", 32)
    assert row["cells"]["medv"].pop("value") == pytest.approx(24.5446, abs=1e-4)
    assert blame == snapshot(
        {
            "table": "housing",
            "version": 1,
            "key": ["ID"],
            "columns": ["medv"],
            "through_restore": True,
            "rows": 1,
            "writers": [
                {
                    "version": 1,
                    "exact": True,
                    "operation": "WRITE",
                    "user": "ann",
                    "model": "boston@1",
                    "reason": "nulls of medv filled with predictions of boston@1",
                    "rows": 1,
                    "cells": 1,
                    "columns": {"medv": 1},
                }
            ],
            "listed": [
                {"key": {"ID": 1}, "version": 1, "exact": True, "cells": {"medv": {"version": 1, "exact": True}}}
            ],
        }
    )


def test_errors_say_what_to_type(lin):
    words = [["--key", 4.5], ["--key", 999], ["--column", "medw"], ["--key", "a=1", "--by", "rm"]]
    assert [lin("blame", "housing", *each).err for each in words] == snapshot(
        [
            "error: '4.5' is not a value of 'ID', a column of type long\n",
            "error: housing@1 has no row with ID 999 (hint: lin show housing@1 --sample 20)\n",
            "error: table 'housing' has no column 'medw' (hint: did you mean 'medv'?)\n",
            "error: 'a=1' is not a value of 'rm', a column of type double\n",
        ]
    )
    twice = lin("blame", "housing", "--by", "crim")
    assert twice.code == 2
    assert twice.err.startswith("error: housing@1 has more than one row with crim -0.036: who wrote them")
