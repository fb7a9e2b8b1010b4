import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.errors import ConflictError, NotFoundError, OutsideError, StoreError
from lin.records import LeftOut, SourceFile, SourceTree, decode, encode
from lin.runs.source import capture_source, diff_sources, public_address, read_tree, restore_source


class Content:
    """The blobs' contract over a dict."""

    def __init__(self):
        self.by_digest = {}

    def put(self, data):
        sha256 = hashlib.sha256(data).hexdigest()
        self.by_digest[sha256] = data
        return sha256

    def read(self, sha256):
        return self.by_digest[sha256]

    def has(self, sha256, size):
        return len(self.by_digest.get(sha256, b"")) == size and sha256 in self.by_digest


@pytest.fixture
def blobs():
    return Content()


@pytest.fixture(autouse=True)
def hermetic_git(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))


def git(folder, *arguments):
    identity = ("-c", "user.name=n", "-c", "user.email=e@x", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def plain(tmp_path):
    root = tmp_path / "plain"
    write(root, {"train.py": "fit()", "lib/a.py": "a", "lib/b.txt": "b"})
    return root


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "repository"
    write(root, {"train.py": "fit()", "lib/a.py": "a", ".gitignore": "*.log\n"})
    git(root, "init")
    git(root, "add", "-A")
    git(root, "commit", "-m", "first")
    return root


def write(root, files):
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


def capture(root, blobs, **options):
    source = capture_source(root, blobs, **options)
    return source.git, read_tree(blobs, source.tree)


def paths(tree):
    return [file.path for file in tree.files]


def reasons(tree):
    return {entry.path: entry.reason for entry in tree.left_out}


# --- outside git --------------------------------------------------------------------------------------------


def test_a_folder_without_git_is_walked(plain, blobs):
    write(
        plain,
        {".hidden/x": "", "__pycache__/a.pyc": "", "node_modules/m.js": "", "store/blob": "", "t/data/1": ""},
    )
    write(plain, {"env/pyvenv.cfg": "", "env/lib/x.py": "", "t/keep": "", ".flake8": ""})
    git_view, tree = capture(plain, blobs, exclude=["store", "./t/data/", "../elsewhere", "/etc", "."])
    assert git_view is None
    assert paths(tree) == [".flake8", "lib/a.py", "lib/b.txt", "t/keep", "train.py"]
    assert tree.left_out == []
    first = tree.files[1]
    assert (first.bytes, blobs.read(first.sha256), first.executable) == (1, b"a", False)


def test_what_a_killed_lin_left_is_no_source(plain, repository, blobs):
    for root in (plain, repository):
        before = capture_source(root, blobs).tree
        write(root, {".tmp-lin-0123456789ab-0123456789abcdef": "half of"})
        assert capture_source(root, blobs).tree == before


def test_the_same_content_has_the_same_digest_anywhere(plain, blobs, tmp_path):
    copy = tmp_path / "copy" / "deeper"
    for path in ("train.py", "lib/b.txt", "lib/a.py"):
        write(copy, {path: (plain / path).read_text()})
    assert capture_source(copy, blobs).tree == capture_source(plain, blobs).tree
    (copy / "train.py").chmod(0o755)
    assert capture_source(copy, blobs).tree != capture_source(plain, blobs).tree


def test_what_is_no_regular_file_is_left_out(plain, blobs, tmp_path):
    write(tmp_path / "outside", {"secret.txt": "s"})
    (plain / "link.py").symlink_to("train.py")
    (plain / "away").symlink_to(tmp_path / "outside")
    os.mkfifo(plain / "pipe")
    Path(os.fsdecode(os.fsencode(plain) + b"/bad\xff")).write_text("x")
    _, tree = capture(plain, blobs)
    assert paths(tree) == ["lib/a.py", "lib/b.txt", "train.py"]
    assert reasons(tree) == {
        "away": "it is a symbolic link",
        "bad\\xff": "its name is not UTF-8",
        "link.py": "it is a symbolic link",
        "pipe": "it is not a regular file",
    }


def test_files_named_like_secrets_are_left_out(plain, blobs):
    write(plain, {".env": "TOKEN=1", "lib/.env.local": "", ".env.example": "TOKEN=", "key.pem": ""})
    _, tree = capture(plain, blobs)
    assert set(reasons(tree)) == {".env", "lib/.env.local", "key.pem"}
    assert ".env.example" in paths(tree)
    assert b"TOKEN=1" not in blobs.by_digest.values()


def test_the_caps_leave_out_with_size_and_reason(plain, blobs):
    write(plain, {"big.bin": "x" * 101, "m1": "y" * 60, "m2": "y" * 60, "z": "z"})
    _, tree = capture(plain, blobs, largest_file=100, largest_total=100)
    assert [(e.path, e.bytes, e.reason) for e in tree.left_out] == [
        ("big.bin", 101, "it is larger than 100 bytes"),
        ("m2", 60, "the snapshot would be larger than 100 bytes"),
    ]
    assert "z" in paths(tree)


@contextmanager
def not_root() -> Iterator[None]:
    """Be a user who may not read everything, whoever runs the tests."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_what_may_not_be_read_is_left_out(blobs):
    with tempfile.TemporaryDirectory() as place:  # not in tmp_path, which only its owner may enter
        root = Path(place)
        root.chmod(0o755)
        write(root, {"train.py": "1", "other.py": "2"})
        (root / "train.py").chmod(0)
        with not_root():
            _, tree = capture(root, blobs)
    assert reasons(tree) == {"train.py": "it cannot be read: Permission denied"}
    assert paths(tree) == ["other.py"]


def test_a_missing_root_is_an_error(tmp_path, blobs):
    with pytest.raises(NotFoundError, match="is not a folder"):
        capture_source(tmp_path / "nowhere", blobs)


# --- in git -------------------------------------------------------------------------------------------------


def test_a_clean_work_tree(repository, blobs):
    view, tree = capture(repository, blobs)
    assert paths(tree) == [".gitignore", "lib/a.py", "train.py"]
    assert len(view.commit) == 40
    assert (view.branch, view.remote, view.dirty) == ("main", None, False)


def test_files_are_as_on_disk(repository, blobs):
    write(repository, {"train.py": "changed", "new.py": "n", "run.log": "ignored", "odd\n name.py": ""})
    (repository / "lib/a.py").unlink()
    view, tree = capture(repository, blobs)
    assert paths(tree) == [".gitignore", "new.py", "odd\n name.py", "train.py"]
    assert blobs.read(tree.files[-1].sha256) == b"changed"
    assert tree.left_out == []
    assert view.dirty


@pytest.mark.parametrize("path", ["other/new.txt", "project/new.txt"])
def test_dirty_speaks_of_the_whole_repository(tmp_path, blobs, path):
    repository = tmp_path / "whole"
    write(repository, {"project/train.py": "", "other/x": ""})
    git(repository, "init")
    git(repository, "add", "-A")
    git(repository, "commit", "-m", "first")
    assert not capture_source(repository / "project", blobs).git.dirty
    write(repository, {path: ""})
    view, tree = capture(repository / "project", blobs)
    assert view.dirty
    assert paths(tree) == (["new.txt", "train.py"] if path.startswith("project") else ["train.py"])


def test_what_is_excluded_is_neither_taken_nor_dirty(repository, blobs):
    write(repository, {".lin/runs/x": "", "work/table/1.parquet": "", "work/[a]/x": ""})
    view, tree = capture(repository, blobs, exclude=[".lin", "work/table", "work/[a]"])
    assert paths(tree) == [".gitignore", "lib/a.py", "train.py"]
    assert not view.dirty


def test_compiled_files_and_environments_are_not_source(repository, blobs):
    before = capture_source(repository, blobs).tree
    write(repository, {"lib/__pycache__/a.pyc": "", ".venv/pyvenv.cfg": "", ".venv/lib/x.py": ""})
    assert capture_source(repository, blobs).tree == before


def test_before_the_first_commit_and_detached(repository, tmp_path, blobs):
    git(repository, "checkout", "--detach")
    view, _ = capture(repository, blobs)
    assert (view.branch, len(view.commit)) == (None, 40)
    write(tmp_path / "fresh", {"a.py": ""})
    git(tmp_path / "fresh", "init")
    view, tree = capture(tmp_path / "fresh", blobs)
    assert (view.commit, view.branch, view.dirty, paths(tree)) == (None, "main", True, ["a.py"])


def test_the_remote_is_the_upstream_or_else_origin(repository, blobs):
    git(repository, "remote", "add", "origin", "https://me:canary@host/o.git?t=canary#canary")
    git(repository, "remote", "add", "fork", "git@host:me/fork.git")
    assert capture_source(repository, blobs).git.remote == "https://host/o.git"
    git(repository, "config", "branch.main.remote", "fork")
    assert capture_source(repository, blobs).git.remote == "host:me/fork.git"


def test_a_folder_that_git_ignores_is_walked(repository, blobs):
    write(repository, {".gitignore": "demo/\n", "demo/a.py": ""})
    view, tree = capture(repository / "demo", blobs)
    assert (view, paths(tree)) == (None, ["a.py"])


def test_a_broken_repository_or_no_git_is_walked(repository, blobs, tmp_path, monkeypatch):
    (repository / ".git/HEAD").write_text("nonsense")
    view, tree = capture(repository, blobs)
    assert (view, paths(tree)) == (None, [".gitignore", "lib/a.py", "train.py"])
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert capture_source(repository, blobs).tree == blobs.put(encode(tree))


def test_variables_of_a_calling_git_do_not_mislead(repository, tmp_path, blobs, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "no-such"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "no-such"))
    assert capture_source(repository, blobs).git.branch == "main"


def test_a_folder_swapped_for_a_link_is_not_followed(repository, tmp_path, blobs):
    write(tmp_path / "outside", {"a.py": "canary"})
    shutil.rmtree(repository / "lib")
    (repository / "lib").symlink_to(tmp_path / "outside")
    _, tree = capture(repository, blobs)
    assert "lib/a.py" not in paths(tree)
    assert b"canary" not in blobs.by_digest.values()


def test_submodules_and_nested_repositories_are_left_out(repository, tmp_path, blobs):
    write(tmp_path / "inner", {"x": "x"})
    git(tmp_path / "inner", "init")
    git(tmp_path / "inner", "add", "-A")
    git(tmp_path / "inner", "commit", "-m", "inner")
    git(repository, "-c", "protocol.file.allow=always", "submodule", "add", str(tmp_path / "inner"), "sub")
    shutil.copytree(tmp_path / "inner", repository / "nested")
    _, tree = capture(repository, blobs)
    assert [e.reason for e in tree.left_out] == ["it is a folder that was not entered"] * 2
    assert [e.path.rstrip("/") for e in tree.left_out] == ["nested", "sub"]


@pytest.mark.parametrize("driver", ["evil", "a=b", "with space.dot"])
def test_nothing_that_a_repository_configures_is_executed(repository, tmp_path, blobs, driver):
    canary = tmp_path / "canary"
    script = tmp_path / "script"
    script.write_text(f"#!{sys.executable}\nopen({str(canary)!r}, 'w')\n")
    script.chmod(0o755)
    write(repository, {".gitattributes": "*.py filter=evil diff=evil\ntrain.py filter=a=b\n"})
    git(repository, "add", ".gitattributes")
    git(repository, "commit", "-m", "attributes")
    (repository / ".git/hooks").mkdir(exist_ok=True)
    shutil.copy(script, repository / ".git/hooks/post-index-change")
    for key in ("core.fsmonitor", f"filter.{driver}.clean", f"filter.{driver}.process", "diff.evil.textconv"):
        git(repository, "config", key, str(script))
    for key in (f"filter.{driver}.required", "filter.evil.required"):
        git(repository, "config", key, "true")
    git(repository, "config", "filter.evil.clean", str(script))
    write(repository, {"train.py": "FIT()"})  # the same size, so that git has to look inside
    view, tree = capture(repository, blobs)
    assert view.dirty
    assert "train.py" in paths(tree)
    assert not canary.exists()


def test_git_is_left_as_it_was(repository, blobs):
    index = (repository / ".git/index").read_bytes()
    os.utime(repository / "train.py", (1, 1))
    capture_source(repository, blobs)
    assert (repository / ".git/index").read_bytes() == index


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://user:canary@host:8443/a/b.git", "https://host:8443/a/b.git"),
        ("https://canary@host/a", "https://host/a"),
        ("https://us@er:can@host/a@b", "https://host/a@b"),
        ("https://host/a?token=canary#canary", "https://host/a"),
        ("https://user:can/ary@host/a", None),
        ("ssh://git@host:22/a", "ssh://host:22/a"),
        ("git@host:team/repo.git", "host:team/repo.git"),
        ("user:canary@host:path", "host:path"),
        ("host:repo", "host:repo"),
        ("https://host/x/ghp_" + "a1" * 18, "https://host/x/[redacted]"),
        ("https://[::1]:80/a", "https://[::1]:80/a"),
        ("/home/me/repo", None),
        ("../repo", None),
        ("file:///home/me/repo", None),
        ("ext::sh -c canary", None),
        ("weird://host/a", None),
        ("", None),
    ],
)
def test_an_address_is_public(address, shown):
    assert public_address(address) == shown


@given(st.text(alphabet="aB1-_%/", min_size=1, max_size=12), st.sampled_from(["https", "ssh", "ftp"]))
@settings(max_examples=25, deadline=None)
def test_no_password_survives(password, scheme):
    shown = public_address(f"{scheme}://user:canary{password}@host/path")
    assert shown is None or "canary" not in shown


# --- restoring ----------------------------------------------------------------------------------------------


def test_a_restored_snapshot_is_the_same(repository, blobs, tmp_path):
    (repository / "train.py").chmod(0o755)
    source = capture_source(repository, blobs)
    target = tmp_path / "again"
    restore_source(read_tree(blobs, source.tree), blobs, target)
    assert capture_source(target, blobs).tree == source.tree
    assert (target / "train.py").stat().st_mode & 0o777 == 0o700
    assert (target / "lib/a.py").stat().st_mode & 0o777 == 0o600
    assert (target / "lib").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "path",
    ["../x", "/x", "a/../../x", "a//x", "./x", "", "a/", "..", "x\0y", ".git/config", "a/.GIT/hooks/x"],
)
def test_an_unsafe_path_writes_nothing(tmp_path, blobs, path):
    sha256 = blobs.put(b"canary")
    tree = SourceTree(files=[SourceFile("first", sha256, 6), SourceFile(path, sha256, 6)])
    with pytest.raises(StoreError, match="may not be written"):
        restore_source(tree, blobs, tmp_path / "target")
    assert not (tmp_path / "target").exists()
    assert list(tmp_path.rglob("x")) == []


@pytest.mark.parametrize("pair", [("a", "a"), ("a", "a/b"), ("a/b", "a")])
def test_two_entries_for_one_file_are_refused(tmp_path, blobs, pair):
    sha256 = blobs.put(b"x")
    tree = SourceTree(files=[SourceFile(path, sha256, 1) for path in pair])
    with pytest.raises((StoreError, OutsideError)):
        restore_source(tree, blobs, tmp_path / "target")


def test_only_an_empty_folder_is_filled(plain, blobs, tmp_path):
    tree = SourceTree(files=[])
    with pytest.raises(ConflictError, match="is not empty"):
        restore_source(tree, blobs, plain)
    with pytest.raises(ConflictError, match="a file is in its place"):
        restore_source(tree, blobs, plain / "train.py")
    restore_source(tree, blobs, tmp_path / "new")


def test_a_damaged_snapshot_is_named(blobs):
    with pytest.raises(StoreError, match="source snapshot"):
        read_tree(blobs, blobs.put(b"{"))


# --- comparing ----------------------------------------------------------------------------------------------


def test_differences():
    def files(*entries):
        return [SourceFile(path, content, 1, content.isupper()) for path, content in entries]

    a = SourceTree(
        files=files(("same", "s"), ("gone", "g"), ("edit", "1"), ("mode", "m")),
        left_out=[LeftOut("big", 9, "r"), LeftOut("grown", 8, "r"), LeftOut("small", 7, "r")],
    )
    b = SourceTree(
        files=files(("same", "s"), ("new", "n"), ("edit", "2"), ("mode", "M"), ("small", "x")),
        left_out=[LeftOut("big", 9, "other"), LeftOut("grown", 9, "r")],
    )
    found = diff_sources(a, b)
    assert (found.added, found.removed) == (["new"], ["gone"])
    assert found.changed == ["edit", "grown", "mode", "small"]
    assert found.unknown == ["big"]
    same = diff_sources(a, decode(encode(a), SourceTree, where="a"))
    assert (same.added, same.removed, same.changed) == ([], [], [])
