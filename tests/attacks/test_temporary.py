"""Under umask 000 what lin keeps is for its owner alone, and nothing that lies in wait under a name of ours is used."""

import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lin.config import TableSetting
from lin.project import declare_table, open_project
from lin.proof.environments.cache import locked


@pytest.fixture
def umask_000() -> Iterator[None]:
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


def modes(folder: Path) -> set[tuple[str, int]]:
    """The kinds and permissions of the folder and all below it, links left out."""
    found = [path.lstat().st_mode for path in (folder, *folder.rglob("*"))]
    return {
        ("folder" if stat.S_ISDIR(mode) else "file", stat.S_IMODE(mode)) for mode in found if not stat.S_ISLNK(mode)
    }


PRIVATE = {("folder", 0o700), ("file", 0o600)}


@pytest.mark.usefixtures("umask_000")
def test_the_store_and_the_caches_are_private(
    tmp_path: Path, lab: Path, lin: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache/of/mine"))
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    monkeypatch.chdir(fresh)
    for name in ("housing.csv", "job.py", "notes.txt"):
        (fresh / name).write_bytes((lab / name).read_bytes())
    for argv in (
        ["init", "--name", "fresh"],
        ["add", "housing", "housing.csv"],
        ["run", "--name", "job", "--", sys.executable, "job.py"],
        ["index", "--rebuild"],
        ["run", "--name", "more", "--", "true"],
        ["index"],
        ["delete", "more"],
        ["gc", "--yes"],
        ["fsck", "--read-data"],
    ):
        assert lin(*argv).code == 0, argv
    (fresh / ".lin/notes.txt").touch(0o600)
    assert lin("fsck", "--repair", "--yes").code == 0
    with locked(tmp_path / "cache/of/mine/lin/environments/key") as beside:
        assert beside.parent.is_dir()
    assert modes(fresh / ".lin") == PRIVATE
    assert modes(tmp_path / "cache") == PRIVATE


@pytest.mark.usefixtures("umask_000")
def test_what_a_rerun_lays_out_lies_in_a_private_folder(
    lab: Path, lin: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (lab / "job.py").write_text(
        "import os; print(oct(os.stat(os.environ['LIN_SCRATCH']).st_mode), os.environ['LIN_SCRATCH'])"
    )
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("LIN_SCRATCH", str(tmp_path / "none"))  # the first time there is none of a re-run
    (tmp_path / "none").mkdir(0o700)
    assert lin("run", "--name", "look", "--", sys.executable, "job.py").code == 0
    monkeypatch.delenv("LIN_SCRATCH")
    assert lin("rerun", "look", "--yes").code in {0, 1}
    said = lin("output", "last").out
    assert said.startswith("0o40700 "), said
    assert "lin-rerun-" in said
    assert not Path(said.split()[1]).exists()


def test_a_declaration_keeps_its_permissions(lab: Path) -> None:
    (lab / "lineage.toml").chmod(0o640)
    declare_table(open_project(lab), "more", TableSetting(path="data/more"))
    assert stat.S_IMODE((lab / "lineage.toml").stat().st_mode) == 0o640
    assert "[tables.more]" in (lab / "lineage.toml").read_text()
