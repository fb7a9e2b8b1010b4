"""Environments made anew by the real uv, from tiny packages: checked, reused, refused, and after a kill."""

import os
import pwd
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from lin.errors import NotReproducibleError, StoreError, UsageError
from lin.proof.environments.build import find_uv
from lin.proof.environments.cache import cache_folder
from lin.proof.environments.prepare import Prepared, enter, examine_environment, parse_with, prepare_environment
from lin.records import Environment, Package, digest, encode
from lin.runs.environment import capture_interpreter
from lin.runs.source import capture_source

SIX, SIX_NEW, TOOLZ = Package("six", "1.16.0"), Package("six", "1.17.0"), Package("toolz", "1.0.0")


class Kept:
    """Blobs in a dict."""

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        self.data[digest(data)] = data
        return digest(data)

    def read(self, sha256: str) -> bytes:
        if sha256 not in self.data:
            raise StoreError("missing")
        return self.data[sha256]

    def has(self, sha256: str, size: int) -> bool:
        return sha256 in self.data and len(self.data[sha256]) == size


@pytest.fixture(autouse=True)
def _caches(tmp_path, monkeypatch):
    """lin's cache is empty; uv's is that of whoever runs the tests, though their home is hidden."""
    home = {**os.environ, "HOME": pwd.getpwuid(os.getuid()).pw_dir}
    told = subprocess.run([find_uv(), "cache", "dir"], env=home, capture_output=True, text=True, check=True)
    monkeypatch.setenv("UV_CACHE_DIR", told.stdout.strip())
    monkeypatch.setenv("LIN_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A Python without any package."""
    folder = tmp_path_factory.mktemp("here")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder / "bin/python"


@pytest.fixture(scope="module")
def bare(here) -> Environment:
    return capture_interpreter(here)


def having(environment: Environment, *packages: Package) -> Environment:
    return replace(environment, packages=list(packages))


def ask(python: Path, code: str) -> str:
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def versions(python: Path) -> dict[str, str]:
    return {package.name: package.version for package in capture_interpreter(python).packages}


def environments() -> list[str]:
    return sorted(path.name for path in (cache_folder() / "environments").iterdir() if path.is_dir())


# --- what is at hand --------------------------------------------------------------------------------------------------


def test_what_is_at_hand_is_used_where_it_fits(here, bare):
    assert prepare_environment(bare, {}, here=here) == Prepared(here, built=False, drift=[])
    assert prepare_environment(bare, {"six": None}, here=here).built is False
    assert not cache_folder().exists()


def test_tools_that_install_others_are_named_but_do_not_count(here, bare):
    recorded = having(bare, Package("setuptools", "65.5.0"))
    prepared = prepare_environment(recorded, {}, here=here)
    assert prepared == Prepared(here, built=False, drift=["setuptools: only in the recorded environment"])


# --- made anew --------------------------------------------------------------------------------------------------------


def test_it_is_made_anew_once_and_used_again(here, bare):
    said: list[str] = []
    recorded = having(bare, SIX, TOOLZ)
    first = prepare_environment(recorded, {}, here=here, report=said.append)
    assert (first.built, first.drift) == (True, [])
    assert versions(first.python) == {"six": "1.16.0", "toolz": "1.0.0"}
    assert ask(first.python, "import six, toolz; print(six.__version__)") == "1.16.0"
    assert len(said) == 1
    again = capture_interpreter(first.python)  # with the digests of their files now
    assert prepare_environment(recorded, {}, here=here, report=said.append) == first
    assert len(said) == 1  # though Python has compiled modules there
    assert prepare_environment(again, {}, here=here).drift == []


def test_other_versions_take_the_place_of_the_recorded(here, bare):
    recorded = having(bare, SIX, TOOLZ)
    prepared = prepare_environment(recorded, {"six": "1.17.0", "toolz": None}, here=here)
    assert versions(prepared.python) == {"six": "1.17.0"}
    assert prepared.drift == []
    assert len(environments()) == 1
    prepare_environment(recorded, {"six": "1.16.0"}, here=here)  # is the recorded one
    assert prepare_environment(recorded, {}, here=here).python != prepared.python
    assert len(environments()) == 2


def test_they_bring_along_what_they_need_and_that_is_said(here, bare):
    said: list[str] = []
    wanted = {"python-dateutil": "2.8.2"}
    prepared = prepare_environment(having(bare, TOOLZ), wanted, here=here, report=said.append)
    assert set(versions(prepared.python)) == {"python-dateutil", "six", "toolz"}
    assert any(line.startswith("six ") and line.endswith(" came along") for line in said)
    assert prepared.drift == ["six: only in the environment of now"]


def test_other_files_under_the_same_version_are_drift(here, bare):
    recorded = having(bare, replace(SIX, record="0" * 64))
    drift = ["six 1.16.0: other files under the same version"]
    assert prepare_environment(recorded, {}, here=here).drift == drift
    assert prepare_environment(recorded, {}, here=here).drift == drift


def test_what_is_compiled_here_is_not_compiled_again(here, bare, tmp_path, monkeypatch):
    python = prepare_environment(having(bare, SIX), {}, here=here).python
    ask(python, "import py_compile, six; py_compile.compile(six.__file__)")
    monkeypatch.setenv("LIN_CACHE", str(tmp_path / "other"))
    prepare_environment(having(bare, SIX, TOOLZ), {}, here=python)
    assert [path.name.partition(".")[0] for path in cache_folder().rglob("*.pyc")] == ["six"]


def test_lin_itself_is_there_in_the_version_that_runs(here, bare):
    recorded = having(bare, SIX, Package("lin-lineage", "0.0.1", editable=True))
    prepared = prepare_environment(recorded, {}, here=here)
    code = "import importlib.metadata as m, lin.version; print(m.version('lin-lineage') == lin.version.__version__)"
    assert ask(prepared.python, code) == "True"
    (drift,) = prepared.drift
    assert drift.startswith("lin-lineage 0.0.1 -> ")


def test_editable_packages_have_the_code_that_was_recorded(here, bare, tmp_path):
    code = tmp_path / "mine"
    (code / "src/mine").mkdir(parents=True)
    (code / "src/mine/__init__.py").write_text("answer = 42\n")
    blobs = Kept()
    tree = capture_source(code, blobs).tree
    (code / "src/mine/__init__.py").write_text("answer = 0\n")
    recorded = having(bare, Package("mine", "1.0", editable=True, source=tree))
    prepared = prepare_environment(recorded, {}, here=here, blobs=blobs)
    assert prepared.drift == []
    assert ask(prepared.python, "import mine; print(mine.answer)") == "42"
    again = capture_interpreter(prepared.python, Kept())
    assert again.packages == recorded.packages
    assert prepare_environment(again, {}, here=prepared.python) == replace_python(prepared)


def replace_python(prepared: Prepared) -> Prepared:
    """It is the one at hand now."""
    return Prepared(prepared.python, built=False, drift=[])


# --- what cannot be had -----------------------------------------------------------------------------------------------


def test_each_package_that_cannot_be_had_is_named(here, bare):
    recorded = having(bare, Package("six", "99.0"), TOOLZ, Package("python-dateutil", "98.0"))
    with pytest.raises(
        NotReproducibleError, match=r"cannot be re-run: .*: python-dateutil 98\.0, six 99\.0$"
    ) as caught:
        prepare_environment(recorded, {}, here=here)
    assert caught.value.hint is not None
    assert environments() == []
    said = examine_environment(recorded, {}, here=here)
    assert [line.partition(" ")[0] for line in said] == ["python-dateutil==98.0", "six==99.0"]


def test_without_network_and_not_in_the_cache(here, bare, tmp_path, monkeypatch):
    recorded = having(bare, SIX, TOOLZ, Package("setuptools", "65.5.0"))
    kept = prepare_environment(recorded, {}, here=here)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    assert examine_environment(recorded, {}, here=here) == []
    assert prepare_environment(recorded, {}, here=here) == kept
    monkeypatch.setenv("LIN_CACHE", str(tmp_path / "other"))
    assert len(examine_environment(recorded, {}, here=here)) == 2
    assert not (tmp_path / "other").exists()
    with pytest.raises(NotReproducibleError, match=r"six 1\.16\.0, toolz 1\.0\.0$"):
        prepare_environment(recorded, {}, here=here)


def test_an_interpreter_that_is_not_here(here, bare):
    with pytest.raises(NotReproducibleError, match=r"its interpreter cpython 3\.2\.99 is not on") as caught:
        prepare_environment(bare, {"python": "3.2.99"}, here=here)
    assert caught.value.hint == "uv python install 3.2.99"
    (said,) = examine_environment(replace(bare, python="3.2.99"), {}, here=here)
    assert said.endswith("uv python install 3.2.99")
    (said,) = examine_environment(replace(bare, python="--help"), {}, here=here)
    assert "is not on this machine" in said


@pytest.mark.parametrize("package", [Package("--index-url", "1"), Package("six", "1 @ file:///x"), Package("a/b", "1")])
def test_a_record_from_anywhere_cannot_talk_to_uv(here, bare, package):
    with pytest.raises(NotReproducibleError, match="names a package that none can be"):
        prepare_environment(having(bare, package), {}, here=here)


# --- altered files ----------------------------------------------------------------------------------------------------


def test_an_altered_environment_is_made_anew(here, bare):
    said: list[str] = []
    recorded = having(bare, SIX)
    python = prepare_environment(recorded, {}, here=here).python
    (module,) = python.parents[1].glob("lib/*/site-packages/six.py")
    whole, status = module.read_bytes(), module.stat()
    module.unlink()  # its content is shared with uv's cache
    module.write_bytes(whole.replace(b"1.16.0", b"1.16.9"))
    os.utime(module, ns=(status.st_atime_ns, status.st_mtime_ns))
    again = prepare_environment(recorded, {}, here=here, report=said.append)
    assert again == Prepared(python, built=True, drift=[])
    assert module.read_bytes() == whole
    assert "six.py was altered" in said[0]
    assert environments() == [python.parents[1].name, f"{python.parents[1].name}.altered"]
    (module.parent / "sitecustomize.py").write_text("import six\n")
    prepare_environment(recorded, {}, here=here, report=said.append)
    assert "sitecustomize.py was added" in said[2]


def test_what_was_altered_in_the_cache_of_uv_is_fetched_anew(here, bare, tmp_path, monkeypatch):
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    said: list[str] = []
    recorded = having(bare, SIX)
    prepare_environment(recorded, {}, here=here)
    (cached,) = (tmp_path / "uv").glob("archive-*/*/six.py")
    cached.write_bytes(b"raise SystemExit\n")  # in the environment too: they share the file
    monkeypatch.setenv("UV_OFFLINE", "1")
    with pytest.raises(NotReproducibleError, match=r"six: file six\.py was altered in uv's cache") as caught:
        prepare_environment(recorded, {}, here=here)
    assert caught.value.hint == "uv cache clean six"
    monkeypatch.delenv("UV_OFFLINE")
    prepared = prepare_environment(recorded, {}, here=here, report=said.append)
    assert ask(prepared.python, "import six; print(six.__version__)") == "1.16.0"
    assert "altered in uv's cache, and fetched anew: six" in said


# --- several processes ------------------------------------------------------------------------------------------------

CHILD = """
import sys
from pathlib import Path
import msgspec
from lin.records import Environment
from lin.proof.environments.prepare import prepare_environment
recorded = msgspec.json.decode(sys.stdin.read(), type=Environment)
print(prepare_environment(recorded, {}, here=Path(sys.argv[1])).python)
"""


def child(here: Path, recorded: Environment) -> "subprocess.Popen[bytes]":
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", CHILD, here], stdin=pipe, stdout=pipe, start_new_session=True)
    assert process.stdin is not None
    process.stdin.write(encode(recorded))
    process.stdin.close()
    process.stdin = None
    return process


def test_two_at_once_get_the_same(here, bare):
    processes = [child(here, having(bare, SIX, TOOLZ)) for _ in range(3)]
    answers = {process.communicate()[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(answers) == len(environments()) == 1


def test_a_kill_leaves_nothing_that_is_believed(here, bare):
    recorded = having(bare, SIX, TOOLZ)
    for _ in range(3):
        process = child(here, recorded)
        while not list(cache_folder().glob("environments/.making-*/bin")) and process.poll() is None:
            time.sleep(0.001)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    prepared = prepare_environment(recorded, {}, here=here)
    assert versions(prepared.python) == {"six": "1.16.0", "toolz": "1.0.0"}
    assert environments() == [prepared.python.parents[1].name]


# --- words and folders ------------------------------------------------------------------------------------------------


def test_packages_by_name_and_version():
    assert parse_with(["Scikit_Learn==1.7.2", "six==1.16.0"]) == {"scikit-learn": "1.7.2", "six": "1.16.0"}
    for wrong in ("six", "six>=1", "six==", "==1", "six==1 --pre", "six @ file:///x"):
        with pytest.raises(UsageError, match="is not a package with its version"):
            parse_with([wrong])
    with pytest.raises(UsageError, match="two versions"):
        parse_with(["six==1", "SIX==2"])
    with pytest.raises(UsageError, match=r"cannot run as lin 99\.0"):
        parse_with(["lin-lineage==99.0"])


def test_variables_of_programs_in_an_environment():
    given = {"PATH": "/usr/bin", "PYTHONDONTWRITEBYTECODE": "1", "A": "b"}
    assert enter(Path("/e/bin/python"), given) == {"PATH": "/e/bin:/usr/bin", "VIRTUAL_ENV": "/e", "A": "b"}


def test_where_environments_are_kept(tmp_path, monkeypatch):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("LIN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg/lin"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path.home() / ".cache/lin"
    monkeypatch.setenv("LIN_CACHE", "relative")
    with pytest.raises(UsageError, match="not an absolute path"):
        cache_folder()
    (tmp_path / "lineage.toml").touch()
    monkeypatch.setenv("LIN_CACHE", str(tmp_path / "deep/cache"))
    with pytest.raises(UsageError, match="inside the project"):
        cache_folder()
