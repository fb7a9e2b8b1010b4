"""Artifacts as files: chosen by path, checked, never over another file, and never outside of the folder."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from lin.errors import ConflictError, NotFoundError, OutsideError, StoreError, UsageError
from lin.project import Project
from lin.records import Artifact, digest
from lin.runs.artifacts import (
    choose_artifacts,
    choose_one,
    find_viewer,
    get_artifact,
    get_artifacts,
    kind_of,
    list_artifacts,
    open_artifact,
    split_uri,
)
from lin.runs.query import RunInfo, read_run
from lin.runs.record import Recorder

CONTENT = {"model/a.skops": b"model", "model/deep/b.json": b"{}", "model.txt": b"text", "plots/e.png": b"png"}


@pytest.fixture
def run(project: Project, begin: Callable[..., Recorder]) -> RunInfo:
    recorder = begin()
    for path, content in CONTENT.items():
        recorder.log_artifact(content, path)
    recorder.seal("finished")
    return read_run(project.store, recorder.id)


def named(path: str, content: bytes = b"text") -> Artifact:
    return Artifact(path=path, sha256=digest(content), bytes=len(content))


def test_kinds_are_told_by_the_name() -> None:
    kinds = {
        "a.png": "image",
        "A.PNG": "image",
        "m/x.skops": "model",
        "m/x.pkl": "unsafe model",
        "x.tar.gz": "archive",
        "x": "data",
        ".png": "data",
    }
    assert {path: kind_of(path) for path in kinds} == kinds


def test_uris() -> None:
    assert split_uri("runs:/abc/plots/e.png") == ("run:abc", ["plots/e.png"])
    assert split_uri("runs:/abc") == split_uri("runs:/abc/") == ("run:abc", [])
    assert split_uri("boston@1") == ("boston@1", [])


def test_paths_choose_artifacts_and_folders_of_them(run: RunInfo) -> None:
    assert [each.path for each in choose_artifacts(run, [])] == sorted(CONTENT)
    assert [each.path for each in choose_artifacts(run, ["model"])] == ["model/a.skops", "model/deep/b.json"]
    both = choose_artifacts(run, ["model.txt", "model/", "model/a.skops"])
    assert [each.path for each in both] == ["model.txt", "model/a.skops", "model/deep/b.json"]
    with pytest.raises(NotFoundError, match=r"has no artifact 'plots/e\.pn'") as error:
        choose_artifacts(run, ["plots/e.pn"])
    assert error.value.hint == "did you mean 'plots/e.png'?"
    assert list_artifacts(run, ["plots"])[0].kind == "image"


def test_one_is_one(run: RunInfo) -> None:
    assert choose_one(run, ["plots"]).path == "plots/e.png"
    for paths, says in (([], "name the artifact"), (["model"], "these are 2 artifacts")):
        with pytest.raises(UsageError, match=says):
            choose_one(run, paths)


def test_a_folder_gets_each_under_its_path(project: Project, run: RunInfo, tmp_path: Path) -> None:
    got = get_artifacts(project.store, run.artifacts, str(tmp_path / "out"))
    files = {path: (tmp_path / "out" / path).read_bytes() for path in CONTENT}
    assert files == CONTENT
    assert all(each.written for each in got)
    again = get_artifacts(project.store, run.artifacts, str(tmp_path / "out"))
    assert not any(each.written for each in again)


def test_one_artifact_becomes_the_file_itself_or_lies_in_the_folder(
    project: Project, run: RunInfo, tmp_path: Path
) -> None:
    one = choose_artifacts(run, ["plots/e.png"])
    (tmp_path / "there").mkdir()
    for place, file in (("new.png", "new.png"), ("there", "there/plots/e.png"), ("new/", "new/plots/e.png")):
        (got,) = get_artifacts(project.store, one, f"{tmp_path}/{place}")
        assert got.file == str(tmp_path / file)
        assert Path(got.file).read_bytes() == b"png"


def test_another_file_is_overwritten_only_when_told(project: Project, run: RunInfo, tmp_path: Path) -> None:
    file = tmp_path / "model.txt"
    file.write_bytes(b"mine")
    one = choose_artifacts(run, ["model.txt"])
    with pytest.raises(ConflictError, match="is there, and another file"):
        get_artifacts(project.store, one, str(tmp_path))
    assert file.read_bytes() == b"mine"
    get_artifacts(project.store, one, str(tmp_path), force=True)
    assert file.read_bytes() == b"text"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".lin")] == []


def test_what_a_kill_left_goes_also_where_the_file_was_whole(project: Project, run: RunInfo, tmp_path: Path) -> None:
    get_artifacts(project.store, run.artifacts, str(tmp_path))
    left = tmp_path / f".tmp-lin-{digest(b'model.txt')[:12]}-0123456789abcdef"
    os.link(tmp_path / "model.txt", left)
    assert not any(got.written for got in get_artifacts(project.store, run.artifacts, str(tmp_path)))
    assert not left.exists()


def test_a_link_in_the_place_of_the_file_is_not_followed(project: Project, run: RunInfo, tmp_path: Path) -> None:
    other, link = tmp_path / "other", tmp_path / "model.txt"
    link.symlink_to(other)
    one = choose_artifacts(run, ["model.txt"])
    with pytest.raises(ConflictError):
        get_artifacts(project.store, one, str(tmp_path))
    get_artifacts(project.store, one, str(tmp_path), force=True)
    assert not other.exists()
    assert stat.S_ISREG(link.lstat().st_mode)


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "a//b", "", ".", "a\\b", "a\x1bb", "a/./b"])
def test_hostile_paths_lead_nowhere(project: Project, tmp_path: Path, path: str) -> None:
    project.store.blobs.put(b"text")
    out = tmp_path / "deep" / "out"
    with pytest.raises(StoreError, match="is no path below a folder"):
        get_artifacts(project.store, [named("good.txt"), named(path)], f"{out}/")
    assert not out.exists()  # nothing was written before all paths were looked at


def test_a_link_out_of_the_folder_is_not_followed(project: Project, tmp_path: Path) -> None:
    project.store.blobs.put(b"text")
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "plots").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="is a link that leads out of"):
        get_artifacts(project.store, [named("plots/e.txt")], str(tmp_path / "out"))


def test_damaged_content_is_not_written(project: Project, tmp_path: Path) -> None:
    sha256 = project.store.blobs.put(b"text")
    blob = project.store_root / "blobs" / sha256[:2] / sha256
    blob.write_bytes(b"xext")
    with pytest.raises(StoreError, match="is damaged"):
        get_artifact(project.store, named("model.txt"), tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_what_cannot_be_written(project: Project, run: RunInfo, tmp_path: Path) -> None:
    (tmp_path / "model").write_text("a file where a folder has to be")
    with pytest.raises((OutsideError, ConflictError)):
        get_artifacts(project.store, choose_artifacts(run, ["model"]), str(tmp_path))


def write_viewer(tmp_path: Path, script: str) -> list[str]:
    viewer = tmp_path / "viewer"
    viewer.write_text(f"#!/bin/sh\n{script}\n")
    viewer.chmod(0o755)
    return [str(viewer)]


def test_a_viewer_gets_a_copy(project: Project, run: RunInfo, tmp_path: Path) -> None:
    viewer = write_viewer(tmp_path, f'cp "$2" {tmp_path}/seen; echo "$1" > {tmp_path}/option')
    opened = open_artifact(project.store, choose_one(run, ["plots/e.png"]), [*viewer, "--new"])
    assert (tmp_path / "seen").read_bytes() == b"png"
    assert Path(opened.file).name == "e.png"
    assert not Path(opened.file).is_relative_to(project.root)
    placed = open_artifact(project.store, choose_one(run, ["plots/e.png"]), [*viewer, "x", "%s"])
    assert placed.path == "plots/e.png"


def test_what_should_not_be_opened_and_viewers_that_fail(project: Project, run: RunInfo, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to look at: model"):
        open_artifact(project.store, choose_one(run, ["model/a.skops"]), ["true"])
    with pytest.raises(OutsideError, match="ended with exit code 3"):
        open_artifact(project.store, choose_one(run, ["plots"]), write_viewer(tmp_path, "exit 3"))
    with pytest.raises(OutsideError, match="cannot be started"):
        open_artifact(project.store, choose_one(run, ["plots"]), [str(tmp_path / "none")])
    hostile = msgspec.structs.replace(choose_one(run, ["plots"]), path="x/..png\x1b.png")
    with pytest.raises(StoreError, match="is no path"):
        open_artifact(project.store, hostile, ["true"])


def test_the_viewer_is_the_first_of_browser_that_is_there(tmp_path: Path) -> None:
    (viewer,) = write_viewer(tmp_path, "")
    path = {"PATH": f"{tmp_path}{os.pathsep}/nowhere"}
    assert find_viewer(path | {"BROWSER": "none:viewer --new %s"}) == ["viewer", "--new", "%s"]
    assert find_viewer(path | {"BROWSER": viewer}) == [viewer]
    with pytest.raises(NotFoundError, match="no program here that opens files"):
        find_viewer({"PATH": "/nowhere"})
