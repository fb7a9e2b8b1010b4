from pathlib import Path

import pytest
from inline_snapshot import snapshot


@pytest.fixture
def empty(lin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder without a project, and `lin` in it."""
    folder = tmp_path / "new house"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder, lin


def test_makes_a_project_once(empty):
    folder, lin = empty
    first, second = lin("init"), lin("init")
    assert first.text == snapshot("""\
project 'new-house': lineage.toml, and the store in .lin
next: lin add NAME FILE.csv --key COLUMN
""")
    assert second.text == snapshot("project 'new-house' is here already; nothing changed\n")
    assert (first.code, second.code, first.err + second.err) == (0, 0, "")
    assert sorted(path.name for path in folder.iterdir()) == [".lin", "lineage.toml"]


def test_json_and_a_store_elsewhere(empty):
    folder, lin = empty
    result = lin("init", "--name", "houses", "--store", "../elsewhere", "--json")
    assert result.json() == {"project": "houses", "root": str(folder), "store": "../elsewhere", "created": True}
    assert (folder.parent / "elsewhere" / "store.json").is_file()
    assert lin("runs", "--json").json() == []
