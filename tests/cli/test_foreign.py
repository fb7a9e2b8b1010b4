"""Tables that others wrote, from the command line: an answer, or one line that names what is in the way and code 13."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from inline_snapshot import snapshot

SECOND_ROW_DELETED = {
    "storageType": "i",
    "pathOrInlineDv": "^Bg9^0rr910000000000iXQKl0rr91000005c8Xg0rr91",
    "sizeInBytes": 34,
    "cardinality": 1,
}
FEATURES = ["deletionVectors", "columnMapping"]
COMMANDS = [
    ["show", "houses@0"],
    ["diff", "houses", 0, 1],
    ["restore", "houses", "--version", 0],
    ["restore", "houses", "--version", 0, "--dry-run"],
]


class Houses:
    """A Delta table of two files with mapped columns, a partition and, in version 1, a deleted row."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.features = FEATURES
        self.kind = "double"
        self.adds = [self._file("a", "Oak & Elm", [1, 2], [24.0, 21.6]), self._file("b", None, [3], [None])]

    def _file(self, name: str, town: str | None, ids: list[int], medv: list[float | None]) -> dict[str, Any]:
        path = self.root / f"{name} 1.parquet"
        self.root.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"c-1": ids, "c-3": pa.array(medv, pa.float64())}), path)
        told = {"path": f"{name}%201.parquet", "size": path.stat().st_size, "partitionValues": {"c-2": town}}
        return {**told, "modificationTime": 1_000, "dataChange": True, "stats": json.dumps({"numRecords": len(ids)})}

    def write(self) -> None:
        """Write the log: two commits."""
        kinds = {"id": "long", "town": "string", "medv": self.kind}
        fields = [
            {
                "name": name,
                "type": kind,
                "nullable": True,
                "metadata": {"delta.columnMapping.id": n, "delta.columnMapping.physicalName": f"c-{n}"},
            }
            for n, (name, kind) in enumerate(kinds.items(), start=1)
        ]
        metadata = {
            "id": "1",
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps({"type": "struct", "fields": fields}),
            "partitionColumns": ["town"],
            "configuration": {"delta.columnMapping.mode": "name", "delta.columnMapping.maxColumnId": "3"},
        }
        protocol = {"minReaderVersion": 3, "minWriterVersion": 7}
        protocol |= {"readerFeatures": self.features, "writerFeatures": self.features}
        old = self.adds[0]
        commits = [
            [{"protocol": protocol}, {"metaData": metadata}, *({"add": add} for add in self.adds)],
            [
                {"commitInfo": {"timestamp": 1_700_000_000_000, "operation": "DELETE"}},
                {"remove": {"path": old["path"], "dataChange": True}},
                {"add": {**old, "deletionVector": SECOND_ROW_DELETED}},
            ],
        ]
        (self.root / "_delta_log").mkdir(exist_ok=True)
        for version, actions in enumerate(commits):
            path = self.root / "_delta_log" / f"{version:020d}.json"
            path.write_text("\n".join(map(json.dumps, actions)))


@pytest.fixture
def houses(built: Path) -> Houses:
    """The table, in the project's folder and known to it; its log is still to be written."""
    with (built / "lineage.toml").open("a") as file:
        file.write('\n[tables.houses]\npath = "data/houses"\nkey = ["id"]\n')
    return Houses(built / "data" / "houses")


def test_the_answer(lin, houses):
    houses.write()
    assert lin("show", "houses@1").text == snapshot("""\
houses@1: 2 rows, 0.0 kB in 2 files
DELETE, 0000-00-00 00:00:00 UTC

column  type    nulls        min        max
id      long        0          1          3
town    string      1  Oak & Elm  Oak & Elm
medv    double      1       24.0       24.0

id  town       medv
 1  Oak & Elm    24
 3  null       null
""")
    assert lin("history", "houses").text == snapshot("""\
version  time (UTC)           operation  rows  user  run  model  reason
      1  0000-00-00 00:00:00  DELETE        2
      0                                     3
""")
    assert lin("diff", "houses", 0, 1).text == snapshot("""\
houses@0 -> houses@1: 0 inserted, 1 deleted, 0 updated, by id

   id  town       medv
-  2   Oak & Elm  21.6
""")
    assert lin("restore", "houses", "--version", 0).text == snapshot(
        "houses@2 is now equal to version 0: the same files, checked (run ########)\n"
    )
    assert lin("diff", "houses", 0, 2, "--exit-code").code == 0
    assert [row["id"] for row in lin("show", "houses", "--json").json()["sample"]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (Path.unlink, "is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "was altered: it has "),
        (lambda path: (path.unlink(), os.mkfifo(path)), "is refused: it is not a regular file"),
        (lambda path: (path.unlink(), path.symlink_to("/dev/zero")), "is refused: it is a symbolic link"),
    ],
)
def test_a_spoiled_file_is_told_by_name(lin, houses, spoil, message):
    houses.write()
    spoil(houses.root / "a 1.parquet")
    for command in COMMANDS:
        refused(lin(*command), "'a 1.parquet'", message)
    assert lin("history", "houses").code == 0


def refused(result: Any, *parts: str) -> None:
    assert (result.code, result.out) == (13, "")
    assert result.err.count("\n") == 1
    assert not [part for part in parts if part not in result.err], result.err


def test_what_lin_does_not_read_is_named(lin, houses):
    houses.features = [*FEATURES, "variantType"]
    houses.write()
    for command in COMMANDS:
        refused(lin(*command), "table 'houses' uses the feature 'variantType', which this lin does not read yet")
    houses.features, houses.kind = FEATURES, "interval year to month"
    houses.write()
    for command in COMMANDS[:2]:
        refused(lin(*command), "lin does not read columns of type 'interval year to month'")


def test_a_way_out_of_the_table_is_refused_by_name(lin, houses):
    for path in ("../housing/x.parquet", "%2e%2e/x", "/etc/passwd", "file:///etc/passwd", "s3://bucket/x"):
        houses.adds[0]["path"] = path
        houses.write()
        for command in [*COMMANDS, ["history", "houses"]]:
            refused(lin(*command), f"names a data file outside its own folder: '{path}'")


def test_a_process_ends_as_it_should(houses, built):
    houses.write()
    start = time.monotonic()
    for spoil, code in ((None, 0), (b"PAR1", 13)):
        if spoil:
            (houses.root / "a 1.parquet").write_bytes(spoil)
        command = [sys.executable, "-m", "lin", "show", "houses"]
        ended = subprocess.run(command, cwd=built, capture_output=True, text=True, check=False)
        assert ended.returncode == code, ended.stderr
        assert "Traceback" not in ended.stderr
    assert time.monotonic() - start < 2 * 10


def test_wide_and_nested_rows_are_shown_line_by_line(lin, built):
    nested = {"id": [1, 2], "who": [{"name": "Ann", "age": 41}, None], "note": ["x" * 99, "\x1b[31m"]}
    columns = {name: pa.array(values) for name, values in nested.items()}
    columns |= {f"feature_{number}": pa.array([number, number + 0.5]) for number in range(20)}
    write_deltalake(built / "data" / "wide", pa.table(columns))
    with (built / "lineage.toml").open("a") as file:
        file.write('\n[tables.wide]\npath = "data/wide"\n')
    shown = lin("show", "wide").text
    assert [line for line in shown.splitlines() if line.startswith(("id", "who", "note"))] == snapshot(
        [
            "id          long                              0         1                                         2",
            "who         struct<name:string,age:long>      1",
            "note        string                            0  \\x1b[31m  xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…",
            "id          1                                                                 2",
            'who         {"name": "Ann", "age": 41}                                        null',
            "note        xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…  \\x1b[31m",
        ]
    )
    assert shown.splitlines()[-1] == snapshot(
        "feature_19  19                                                                19.5"
    )
    assert lin("show", "wide", "--json").json()["sample"][0]["note"] == "x" * 99
