"""Repositories that want git to run their programs, or lin to read what is not theirs: neither happens."""

import hashlib
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lin.project import open_project
from lin.runs.query import list_runs
from lin.runs.source import read_tree


def git(folder: Path, *arguments: str) -> str:
    user = (
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b",
        "-c",
        "protocol.file.allow=always",
        "-c",
        "commit.gpgSign=false",
    )
    done = subprocess.run(["git", *user, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(lab: Path) -> Path:
    git(lab, "init", "-q", "-b", "main")
    git(lab, "add", "job.py", "notes.txt", "housing.csv", "lineage.toml")
    git(lab, "commit", "-qm", "first")
    return lab


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


@pytest.fixture
def program(tmp_path: Path, marker: Path) -> Path:
    """A program that leaves a marker: what a hostile repository would like to be run."""
    file = tmp_path / "program"
    file.write_text(f"#!{sys.executable}\nopen({str(marker)!r}, 'w')\n")
    file.chmod(0o755)
    return file


KEYS = [
    "core.fsmonitor",
    "core.sshCommand",
    "core.gitProxy",
    "core.askPass",
    "core.pager",
    "core.editor",
    "core.alternateRefsCommand",
    "pager.status",
    "pager.config",
    "diff.external",
    "diff.evil.command",
    "diff.evil.textconv",
    "filter.evil.clean",
    "filter.evil.smudge",
    "filter.evil.process",
    "credential.helper",
    "gpg.program",
    "alias.status",
    "alias.config",
    "merge.evil.driver",
    "trace2.eventTarget",
]


def record(lin: Callable) -> None:
    """Run everything that asks git: captures, and who acts."""
    assert lin("run", "--name", "seen", "--", "true").code == 0
    assert lin("comment", "boston@1", "seen").code == 0
    assert lin("status").code == 0


def test_no_program_of_a_repository_is_run(repository: Path, lin: Callable, program: Path, marker: Path) -> None:
    (repository / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
    git(repository, "add", ".gitattributes")
    hooks = repository / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    for hook in ("post-index-change", "pre-auto-gc", "reference-transaction", "fsmonitor-watchman", "query-watchman"):
        (hooks / hook).symlink_to(program)
    included = repository / ".git/more"
    for key in KEYS:
        value = f"!{program}" if key.startswith("alias.") else str(program)
        git(repository, "config", "--file", str(included), key, value)
    git(repository, "config", "--file", str(included), "filter.evil.required", "true")
    git(repository, "config", "--file", str(included), "core.hooksPath", str(hooks))
    git(repository, "config", "include.path", "more")
    git(repository, "config", "includeIf.gitdir:**.path", "more")
    (repository / "notes.txt").write_text("NOTES")  # of the same size, so that git has to look inside
    record(lin)
    assert not marker.exists()


def test_no_program_of_a_submodule_is_run(
    repository: Path, lin: Callable, tmp_path: Path, program: Path, marker: Path
) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    (inner / ".gitattributes").write_text("* filter=evil\n")
    (inner / "a.txt").write_text("a")
    git(inner, "add", ".")
    git(inner, "commit", "-qm", "inner")
    git(repository, "submodule", "add", str(inner), "sub")
    for key in ("core.fsmonitor", "filter.evil.clean", "filter.evil.process"):
        git(repository / "sub", "config", key, str(program))
    git(repository, "config", "submodule.sub.update", f"!{program}")
    git(repository, "config", "submodule.sub.ignore", "none")
    git(repository, "config", "status.submoduleSummary", "true")
    git(repository, "config", "diff.submodule", "log")
    (repository / "sub/a.txt").write_text("b")
    record(lin)
    assert not marker.exists()


def test_what_a_partial_clone_lacks_is_not_fetched(
    repository: Path, lin: Callable, program: Path, marker: Path
) -> None:
    git(repository, "config", "core.repositoryFormatVersion", "1")
    git(repository, "config", "extensions.partialClone", "origin")
    git(repository, "config", "remote.origin.url", f"ext::{program} %S")
    git(repository, "config", "remote.origin.promisor", "true")
    git(repository, "config", "protocol.ext.allow", "always")
    git(repository, "config", "protocol.allow", "always")
    for sha1 in [git(repository, "rev-parse", name) for name in ("HEAD^{tree}", "HEAD:notes.txt")]:
        (repository / ".git/objects" / sha1[:2] / sha1[2:]).unlink()
    (repository / "notes.txt").write_text("NOTES")
    record(lin)
    assert not marker.exists()


@pytest.mark.parametrize("branch", ["-x", "--upload-pack=touch", "a;b", "a$(touch marker)"])
def test_a_branch_is_a_name_whatever_it_is_called(repository: Path, lin: Callable, branch: str) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    ref = repository / ".git/refs/heads" / branch
    ref.write_text(f"{commit}\n")
    (repository / ".git/HEAD").write_text(f"ref: refs/heads/{branch}\n")
    record(lin)
    assert not (repository / "marker").exists()
    assert not (repository / "touch").exists()


def test_a_git_file_that_leads_elsewhere_runs_nothing(
    repository: Path, lin: Callable, outside: Path, program: Path, marker: Path, state: Callable
) -> None:
    (repository / ".git").rename(outside / "git")
    (repository / ".git").write_text(f"gitdir: {outside / 'git'}\n")
    git(repository, "config", "core.fsmonitor", str(program))
    git(repository, "config", "core.worktree", str(repository))
    before = state(outside)
    record(lin)
    assert not marker.exists()
    assert state(outside) == before


def test_an_included_pipe_does_not_hang_who_acts(repository: Path) -> None:
    """What lin waits for at most is a constant of its own; a pipe without a writer would be waited for for ever."""
    os.mkfifo(repository / "pipe")
    with (repository / ".git/config").open("a") as file:
        file.write("[include]\n\tpath = ../pipe\n")
    assert open_project(repository).email is None


def index_entry(path: bytes, blob: bytes) -> bytes:
    entry = struct.pack(">10I", *[0] * 6, 0o100644, 0, 0, 0) + blob + struct.pack(">H", len(path)) + path
    return entry + b"\0" * (8 - len(entry) % 8)


def test_an_index_that_names_files_outside_gets_none_of_them(repository: Path, lin: Callable, outside: Path) -> None:
    paths = [
        b"../outside/canary",
        b".git/config",
        str(outside / "canary").encode(),
        b"a/../../outside/canary",
        b"job.py",
    ]
    blob = bytes.fromhex(git(repository, "rev-parse", "HEAD:job.py"))
    body = b"DIRC" + struct.pack(">II", 2, len(paths)) + b"".join(index_entry(path, blob) for path in sorted(paths))
    (repository / ".git/index").write_bytes(body + hashlib.sha1(body).digest())
    (repository / "a").mkdir()
    record(lin)
    store = open_project(repository).store
    seen = next(run for run in list_runs(store).runs if run.name == "seen")
    assert seen.source is not None
    tree = read_tree(store.blobs, seen.source.tree)
    assert "job.py" in [file.path for file in tree.files]
    assert not [file.path for file in tree.files if ".." in file.path or ".git" in file.path or "canary" in file.path]
    assert {entry.reason for entry in tree.left_out if "canary" in entry.path} == {
        "its path leads out of the project, or into .git"
    }
    assert not [blob for blob in repository.glob(".lin/blobs/*/*") if blob.read_bytes() == b"canary"]
