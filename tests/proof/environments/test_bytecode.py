"""Compiled files are shared where Python itself would take them, and nowhere else."""

import os
import py_compile
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lin.proof.environments.bytecode import copy_bytecode, share_bytecode
from lin.proof.environments.installed import digest_files


def make(folder: Path, **sources: str) -> Path:
    """An environment with these modules, all of the same time, and an inventory."""
    (folder / "lib/package").mkdir(parents=True)
    for name, text in sources.items():
        path = folder / f"lib/package/{name}.py"
        path.write_text(text)
        os.utime(path, ns=(10**18, 10**18))
    (folder / "inventory.json").write_text("{}")
    return folder


def compile_all(folder: Path) -> None:
    for path in folder.rglob("*.py"):
        py_compile.compile(str(path), doraise=True)


def compiled(folder: Path) -> list[str]:
    return sorted(path.name.partition(".")[0] for path in folder.rglob("*.pyc"))


def test_the_same_files_are_not_compiled_again(tmp_path: Path) -> None:
    compile_all(make(tmp_path / "a1", same="x = 1\n", longer="x = 1\n", newer="x = 1\n", gone="x = 1\n"))
    target = make(tmp_path / ".making", same="x = 1\n", longer="x = 100\n", newer="x = 2\n")
    os.utime(target / "lib/package/newer.py", ns=(10**18 + 1, 10**18 + 1))
    share_bytecode(target, tmp_path)
    assert compiled(target) == ["same"]
    (shared,) = target.rglob("*.pyc")
    assert shared.samefile(next((tmp_path / "a1").rglob(shared.name)))


def test_a_folder_that_is_no_environment_is_not_looked_at(tmp_path: Path) -> None:
    compile_all(make(tmp_path / "a1", same="x = 1\n"))
    (tmp_path / "a1/inventory.json").unlink()
    compile_all(make(tmp_path / ".making-b1", same="x = 1\n"))
    target = make(tmp_path / ".making", same="x = 1\n")
    share_bytecode(target, tmp_path)
    share_bytecode(target, tmp_path / "nowhere")
    assert compiled(target) == []


def test_what_lies_behind_a_link_stays_as_it_is(tmp_path: Path) -> None:
    compile_all(make(tmp_path / "a1", same="x = 1\n"))
    target = make(tmp_path / ".making", same="x = 1\n")
    live = tmp_path / "live"
    shutil.move(target / "lib/package", live)
    (target / "lib/package").symlink_to(live)
    share_bytecode(target, tmp_path)
    assert compiled(live) == []


# --- from the environment at hand -------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """An environment with the module `same`, compiled, and of another day than what `make` makes."""
    here = make(tmp_path / "here", same="x = 1\n")
    os.utime(here / "lib/package/same.py", (10**9 + 77, 10**9 + 77))
    compile_all(here)
    return here


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """One with the same module, not compiled."""
    return make(tmp_path / "target", same="x = 1\n")


def copy(target: Path, here: Path) -> list[str]:
    """What was compiled in `target` afterwards."""
    copy_bytecode(target, target / "lib", digest_files(target), here)
    return compiled(target)


def pyc(folder: Path) -> Path:
    return folder / f"lib/package/__pycache__/same.{sys.implementation.cache_tag}.pyc"


def test_python_takes_what_was_compiled_here_of_the_same_source(here, target):
    assert copy(target, here) == ["same"]
    assert not pyc(target).samefile(pyc(here))
    command = [sys.executable, "-v", "-B", "-c", "import same; print(same.x)"]
    folder = {"PYTHONPATH": str(target / "lib/package")}
    ran = subprocess.run(command, env=folder, capture_output=True, text=True, check=True)
    assert ran.stdout == "1\n"
    assert f"{pyc(target)} matches" in ran.stderr


@pytest.mark.parametrize("seconds", [10**9, 10**9 + 77])
def test_a_source_of_the_same_size_is_not_the_same(here, target, seconds):
    (target / "lib/package/same.py").write_text("x = 2\n")
    os.utime(target / "lib/package/same.py", (seconds, seconds))
    assert copy(target, here) == []


def test_what_python_would_compile_again_here_is_not_taken(here, target):
    os.utime(here / "lib/package/same.py", (10**9, 10**9))
    assert copy(target, here) == []


@pytest.mark.parametrize("at", [0, 4, 12])
def test_another_magic_number_or_other_flags_or_another_size(here, target, at):
    code = bytearray(pyc(here).read_bytes())
    code[at] ^= 1
    pyc(here).write_bytes(code)
    assert copy(target, here) == []


def test_what_another_interpreter_or_program_compiled(here, target):
    for tag in ("cpython-39", f"{sys.implementation.cache_tag}-pytest-8.4.2", f"{sys.implementation.cache_tag}.opt-1"):
        shutil.copy(pyc(here), pyc(here).with_name(f"same.{tag}.pyc"))
    pyc(here).unlink()
    assert copy(target, here) == []


@pytest.mark.parametrize(
    "name", ["lib/package", "lib/package/__pycache__", "lib/package/same.py", "lib/package/__pycache__/PYC"]
)
def test_links_here_are_not_followed(here, target, tmp_path, name):
    path = here / name.replace("PYC", pyc(here).name)
    elsewhere = shutil.move(path, tmp_path / "elsewhere")
    path.symlink_to(elsewhere)
    assert copy(target, here) == []


def test_what_the_target_has_behind_a_link_gets_nothing(here, target, tmp_path):
    live = shutil.move(target / "lib/package", tmp_path / "live")
    (target / "lib/package").symlink_to(live)
    assert copy(target, here) == compiled(live) == []


def test_what_is_there_already_stays(here, target):
    pyc(target).parent.mkdir()
    pyc(target).write_bytes(b"its own")
    assert copy(target, here) == ["same"]
    assert pyc(target).read_bytes() == b"its own"


def test_half_of_one_is_not_left_where_the_disk_refuses_the_rest(here, target):
    files = digest_files(target)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))
    try:
        copy_bytecode(target, target / "lib", files, here)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert compiled(target) == []


@pytest.mark.parametrize("name", ["tests", "pip"])
def test_what_is_seldom_imported_is_left_to_python(here, target, name):
    for root in (here, target):
        (root / "lib/package").rename(root / "lib" / name)
    assert copy(target, here) == []


def test_nothing_is_at_hand(target, tmp_path):
    assert copy(target, tmp_path / "nowhere") == []
