"""A folder that somebody else made: what lies in it is read, and nothing of it is run unless that was asked for.

A setting, a module or a program of the project that would write a mark is put wherever a tool looks for one.
"""

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lin.project import open_project
from lin.records import Environment, Package, decode, encode
from lin.runs.record import begin_run, capture

BACKEND = """
open({mark!r}, "w").close()
def get_requires_for_build_wheel(config_settings=None):
    return []
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    raise SystemExit("none")
build_wheel = prepare_metadata_for_build_wheel
"""
BUILD = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A file that only hostile code makes."""
    return tmp_path / "mark"


def put_source(folder: Path, name: str, mark: Path) -> Path:
    """A source distribution whose build makes the mark."""
    place = folder / f"{name}-1.0.tar.gz"
    with tarfile.open(place, "w:gz") as file:
        members = {"PKG-INFO": "", "pyproject.toml": BUILD, "backend.py": BACKEND.format(mark=str(mark))}
        for path, text in members.items():
            member = tarfile.TarInfo(f"{name}-1.0/{path}")
            member.size = len(text)
            file.addfile(member, io.BytesIO(text.encode()))
    return place


def record(root: Path, **environment: Any) -> str:
    """A run that says that it had another environment than there is."""
    project = open_project(root)
    captured, blobs = capture(project), project.store.blobs
    here = decode(blobs.read(captured.environment), Environment, where="environment")
    elsewhere = replace(captured, environment=blobs.put(encode(msgspec.structs.replace(here, **environment))))
    run = begin_run(project, elsewhere, kind="command", name="job", command=["true"])
    run.seal("finished")
    return run.id


HOSTILE = [Package(name="hostile-package", version="1.0")]


@pytest.fixture
def uv_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of uv's own, so that it does not go by what it built before."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")


@pytest.mark.usefixtures("uv_cache")
@pytest.mark.parametrize("setting", ["uv.toml", "pyproject.toml"])
def test_settings_of_the_project_do_not_tell_uv_where_to_look(
    lab: Path, lin: Callable, mark: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    put_source(lab, "hostile_package", mark)
    text = f"no-index = true\nfind-links = [{str(lab)!r}]\ncache-dir = {str(lab / 'cache')!r}\n"
    (lab / setting).write_text(text if setting == "uv.toml" else f"[tool.uv]\n{text}")
    run = record(lab, packages=HOSTILE)
    assert "hostile-package" in lin("doctor", run).out
    assert lin("rerun", run, "--yes").code == 14
    assert not mark.exists()


@pytest.mark.usefixtures("uv_cache")
def test_looking_whether_a_package_can_be_had_builds_none(
    lab: Path, lin: Callable, mark: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A record may name any package of a registry, and a build is code of whoever put it there."""
    (tmp_path / "links").mkdir()
    put_source(tmp_path / "links", "hostile_package", mark)
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "links"))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    run = record(lab, packages=HOSTILE)
    assert lin("doctor", run).code == 0
    assert not mark.exists()


@pytest.mark.usefixtures("uv_cache")
def test_a_python_that_lies_in_the_project_is_not_asked(
    lab: Path, lin: Callable, mark: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    for folder in (lab / ".venv", lab):
        (folder / "bin").mkdir(parents=True)
        (folder / "pyvenv.cfg").write_text("home = /usr/bin\n")
        for name in ("python", "python3"):
            (folder / "bin" / name).write_text(f'#!/bin/sh\ntouch {mark}\nexec {sys.executable} "$@"\n')
            (folder / "bin" / name).chmod(0o755)
    run = record(lab, python="3.11.99")
    assert "3.11.99" in lin("doctor", run).out
    assert not mark.exists()


RCS: dict[str, Callable[[Path], object]] = {
    "escapes": lambda place: place.write_text(
        "font.family: \x1b]0;EVIL\x07\n\x1b[31mEVIL: 1\n\x9b2J\nlines.color: \x1b[2J\n"
    ),
    "backend": lambda place: place.write_text("backend: module://hostile\ntext.usetex: True\n"),
    "no text": lambda place: place.write_bytes(b"\xff\xfe"),
    "pipe": os.mkfifo,
    "device": lambda place: place.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("name", RCS)
def test_settings_of_matplotlib_in_the_project_do_nothing(lab: Path, mark: Path, name: str) -> None:
    RCS[name](lab / "matplotlibrc")
    (lab / "hostile.py").write_text(f"open({str(mark)!r}, 'w')")
    done = subprocess.run(
        [sys.executable, "-m", "lin", "plot", "housing"], capture_output=True, text=True, check=False, timeout=60
    )
    assert not mark.exists()
    assert "EVIL" not in done.stderr
    if name in {"escapes", "backend"}:
        assert (done.returncode, done.stderr) == (0, "")
    else:
        assert done.returncode == 13, done.stderr
        assert done.stderr.startswith("error: matplotlib cannot read its settings")


def test_a_module_of_the_folder_does_not_stand_in_for_one_of_lin(lab: Path, mark: Path) -> None:
    for name in ("msgspec", "typer", "rich", "zipfile", "duckdb", "conftest", "sitecustomize", "usercustomize"):
        (lab / f"{name}.py").write_text(f"open({str(mark)!r}, 'w')")
    done = subprocess.run(
        [sys.executable, "-m", "lin", "show", "housing"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, mark.exists()) == (0, False), done.stderr


def test_doctor_starts_no_python_of_the_project(lab: Path, lin: Callable, mark: Path) -> None:
    """The record names one that lies there: what packages it has only it could tell."""
    (lab / "python").write_text(f"#!/bin/sh\ntouch {mark}\n")
    (lab / "python").chmod(0o755)
    project = open_project(lab)
    run = begin_run(project, capture(project), kind="command", name="job", command=["./python", "job.py"])
    run.seal("finished")
    told = lin("doctor", run.id)
    assert not mark.exists()
    assert "./python lies in the project, so it was not started" in " ".join(told.out.split())
