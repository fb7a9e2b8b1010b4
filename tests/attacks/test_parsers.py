"""Hostile `lineage.toml` files: one line says what is wrong, in bounded time, and there is no traceback."""

import pytest

from lin.cli.main import main
from lin.project import Project

HEAD = b'[project]\nname = "boston"\n'
PARAMS = HEAD + b"[experiments.z]\ncommand = 'true'\nparams = { a = %s }\n"
TABLE = HEAD + b'[tables.housing]\npath = "%s"\n'
STORE = HEAD + b'store = "%s"\n'

DOCUMENTS = {
    "deep list": PARAMS % (b"[" * 50_000 + b"]" * 50_000),
    "deep table": HEAD + b"[experiments." + b".".join([b"a"] * 2_000) + b"]\nx = 1\n",
    "long integer": PARAMS % (b"9" * 5_000),
    "long hex": PARAMS % (b"0x" + b"f" * 500_000),
    "wide float": PARAMS % b"1e999",
    "surrogate": PARAMS % b'"\\ud800"',
    "no utf-8": PARAMS % b'"\xed\xa0\x80"',
    "a key twice": HEAD + HEAD,
    "mark": b"\xef\xbb\xbf" + HEAD,
    "utf-16": HEAD.decode().encode("utf-16"),
    "nul": HEAD + b"\0",
    "nul in a table's path": TABLE % b"data\\u0000",
    "long table's path": TABLE % (b"a" * 5_000),
    "empty table's path": TABLE % b"",
    "nul in the store": STORE % b"\\u0000",
    "long store": STORE % (b"a" * 300),
    "deep store": STORE % (b"a/" * 3_000),
    "empty store": STORE % b"",
    "store below a file": STORE % b"lineage.toml/x",
    "endless": b"#" * (2 << 20),
    "time": PARAMS % b"1979-05-27T07:32:00Z",
    "name of a kind": b"[project]\nname = 1979-05-27\n",
    "gate": HEAD + b'[models.boston]\ngates = { production = ["rmse < ' + b"9" * 50_000 + b'"] }\n',
    "gates": HEAD + b'[models.boston]\ngates = { production = ["' + b"rmse < " * 50_000 + b'"] }\n',
    "condition": HEAD
    + b"[experiments.z]\ntable = 'housing'\ntarget = 'y'\nrows = '"
    + b"(" * 50_000
    + b"'\n[[experiments.z.models]]\nestimator = 'a.B'\n",
}
COMMANDS = (
    ["runs"],
    ["tables"],
    ["status", "--json"],
    ["fsck"],
    ["run", "z", "--dry-run"],
    ["add", "wine", "w.csv"],
)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_hostile_lineage_toml_is_refused_or_read(
    project: Project, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(project.root)
    (project.root / "w.csv").write_text("ID\n1\n")
    (project.root / "lineage.toml").write_bytes(DOCUMENTS[name])
    for words in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            main(words)
        said = capsys.readouterr().err
        assert ended.value.code != 70, (words, said[:300])
        assert "bug in lin" not in said
        assert (said.startswith("error: ") and said.count("\n") <= 3) or ended.value.code in {0, 1}, (words, said[:300])


def test_a_name_too_long_for_a_file_system_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(project.root)
    for words in (["add", "x", "a" * 5_000], ["add", "x", "\0"], ["--store", "a" * 5_000, "runs"]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code in {2, 10, 13}
        assert capsys.readouterr().err.startswith("error: ")
