"""Compiled files are shared where Python itself would take them, and nowhere else."""

import os
import py_compile
import shutil
from pathlib import Path

from lin.proof.environments.bytecode import share_bytecode


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
