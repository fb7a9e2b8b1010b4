import multiprocessing
import os
from pathlib import Path

import pytest

from lin.config import TableSetting, read_config
from lin.errors import ConflictError, NotFoundError, StoreError, UsageError
from lin.project import create_project, declare_table, open_project


def test_a_project_is_made_once_and_found_from_below(tmp_path: Path) -> None:
    project, fresh = create_project(tmp_path, name="boston")
    assert fresh
    text = (tmp_path / "lineage.toml").read_text()
    below = tmp_path / "a/b"
    below.mkdir(parents=True)
    found = open_project(below)
    assert (found.root, found.store.info) == (tmp_path, project.store.info)
    again, fresh = create_project(tmp_path)
    assert (fresh, again.store.info) == (False, project.store.info)
    assert (tmp_path / "lineage.toml").read_text() == text
    assert (tmp_path / ".lin/.gitignore").read_text().endswith("*\n")


def test_the_starter_file_is_valid_when_its_comments_are_removed(tmp_path: Path) -> None:
    create_project(tmp_path, name="p")
    path = tmp_path / "lineage.toml"
    lines = path.read_text().splitlines()
    real = [line.removeprefix("# ").removeprefix("#") for line in lines if not line.startswith(("# A ", "# An "))]
    path.write_text("\n".join(real))
    assert list(read_config(path).experiments) == ["housing"]


def test_a_folder_with_an_odd_name_is_a_project_too(tmp_path: Path) -> None:
    folder = tmp_path / "…my data"
    folder.mkdir()
    assert create_project(folder)[0].config.project.name == "my-data"


def test_no_project_and_no_store_say_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        open_project(tmp_path)
    assert caught.value.hint == "lin init"
    (tmp_path / "lineage.toml").write_text('[project]\nname = "p"\n')
    with pytest.raises(NotFoundError, match="there is no lin store in") as caught:
        open_project(tmp_path)
    assert caught.value.hint == "lin init"


def test_a_store_of_a_newer_format_says_so(tmp_path: Path) -> None:
    create_project(tmp_path)
    info = tmp_path / ".lin/store.json"
    info.write_bytes(info.read_bytes().replace(b"store/1", b"store/7"))
    with pytest.raises(StoreError, match=r"store.json is in format 'store/7', written by a newer lin"):
        open_project(tmp_path)


def test_a_bucket_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lineage.toml").write_text('[project]\nname = "p"\nstore = "s3://bucket/x"\n')
    with pytest.raises(UsageError, match="local folder only"):
        open_project(tmp_path)


def test_a_table_is_declared_at_the_end_and_comments_stay(tmp_path: Path) -> None:
    create_project(tmp_path, name="p")
    path = tmp_path / "lineage.toml"
    path.write_text(path.read_text() + "# the end\n")
    project = declare_table(open_project(tmp_path), "housing", TableSetting(path="data/housing", key=["ID"]))
    assert project.config.table("housing").key == ["ID"]
    text = path.read_text()
    assert "# the end\n\n[tables.housing]\n" in text
    declare_table(open_project(tmp_path), "housing", TableSetting(path="data/housing", key=["ID"]))
    assert path.read_text() == text
    with pytest.raises(ConflictError, match="declares table 'housing' otherwise"):
        declare_table(open_project(tmp_path), "housing", TableSetting(path="elsewhere"))


def _declare(root: Path, number: int) -> None:
    project = open_project(root)
    for turn in range(5):
        project = declare_table(project, f"t{number}.{turn}", TableSetting(path=f"data/{number}.{turn}"))


def test_what_others_declare_meanwhile_stays(tmp_path: Path) -> None:
    create_project(tmp_path, name="p")
    stale = open_project(tmp_path)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_declare, args=(tmp_path, number)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    declared = {f"t{number}.{turn}" for number in range(4) for turn in range(5)}
    assert open_project(tmp_path).config.tables.keys() == declared
    assert declare_table(stale, "last", TableSetting(path="last")).config.tables.keys() == declared | {"last"}
    with pytest.raises(ConflictError, match=r"declares table 't0\.0' otherwise"):
        declare_table(stale, "t0.0", TableSetting(path="elsewhere"))


def test_a_file_that_cannot_be_extended_is_left_alone(tmp_path: Path) -> None:
    create_project(tmp_path, name="p")
    path = tmp_path / "lineage.toml"
    text = 'tables = { a = { path = "a" } }\n[project]\nname = "p"\n'
    path.write_text(text)
    with pytest.raises(UsageError, match="not valid TOML"):
        declare_table(open_project(tmp_path), "b", TableSetting(path="b"))
    assert path.read_text() == text


def test_the_store_survives_a_move(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    project, _ = create_project(tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    assert open_project(tmp_path / "new").store.info == project.store.info


def test_what_is_not_source_is_known(tmp_path: Path) -> None:
    create_project(tmp_path, name="p")
    project = declare_table(open_project(tmp_path), "t", TableSetting(path="data/t"))
    project = declare_table(project, "far", TableSetting(path=os.path.relpath("/elsewhere", tmp_path)))
    assert project.folders_of_data == [".lin", "data/t"]


def test_a_project_in_a_scratch_folder_stands_for_the_live_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live, scratch = tmp_path / "live", tmp_path / "scratch"
    live.mkdir()
    project, _ = create_project(live, name="p")
    then = Path(f"{scratch}{live}")
    then.mkdir(parents=True)
    (then / "lineage.toml").write_text(
        '[project]\nname = "then"\n[tables.a]\npath = "a"\n[tables.b]\npath = "/b/../c"\n'
    )
    monkeypatch.setenv("LIN_SCRATCH", str(scratch))
    assert open_project(live).scratch is None
    found = open_project(then, store=str(project.store_root))
    assert (found.config.project.name, found.store_root, found.scratch) == ("then", live / ".lin", scratch)
    assert {name: table.path for name, table in found.config.tables.items()} == {"a": "a", "b": f"{scratch}/c"}
    places = [then / "a", scratch / "c", live / "a", Path("/d")]
    assert [found.locate(place) for place in places] == [
        project.locate(Path(p)) for p in (live / "a", "/c", live / "a", "/d")
    ]
    declared = declare_table(found, "d", TableSetting(path="/e"))
    assert declared.config.tables["d"].path == f"{scratch}/e"
    assert 'path = "/e"' in (then / "lineage.toml").read_text()
    monkeypatch.delenv("LIN_SCRATCH")
    assert open_project(then, store=str(project.store_root)).scratch is None
