import ast
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest

from lin.errors import OutsideError
from lin.records import Blas, Environment, Package, encode
from lin.runs import probe
from lin.runs.environment import capture_environment, capture_interpreter, diff_environments
from lin.runs.source import read_tree

CANARY = "Xq7CANARYp9z"


def install(site, name, version, *, record=None, folder=None, **notes):
    info = site / (folder or f"{name.replace('-', '_')}-{version}.dist-info")
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nVersion: 0\n")
    if record is not None:
        (info / "RECORD").write_text(record)
    for file, text in notes.items():
        (info / f"{file}.json").write_text(text)
    return info


# --- this process -------------------------------------------------------------------------------------------


def test_the_interpreter_and_its_packages():
    environment = capture_environment()
    assert environment.python == platform.python_version()
    assert environment.implementation == "cpython"
    assert environment.abi.startswith("cpython-")
    assert (environment.system, environment.machine) == (platform.system(), platform.machine())
    names = [package.name for package in environment.packages]
    assert names == sorted(set(names))
    versions = {package.name: package.version for package in environment.packages}
    for name in ("numpy", "scikit-learn", "lin-lineage", "typing-extensions"):
        assert versions[name] == metadata.version(name)


def test_no_path_is_in_it():
    text = encode(capture_environment())
    assert str(Path(sys.prefix)).encode() not in text
    assert str(Path(probe.__file__).parents[3]).encode() not in text
    assert b"file:" not in text


def test_only_listed_variables_are_kept(monkeypatch):
    for name in probe.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("TZ", os.fsdecode(b"bad\xff"))
    environment = capture_environment()
    assert environment.variables == {"OMP_NUM_THREADS": "2", "TZ": "bad\\udcff"}
    assert CANARY.encode() not in encode(environment)


def test_blas_is_told_once_numpy_is_loaded():
    code = (
        "import json, sys; from lin.runs.environment import capture_environment as c; import msgspec\n"
        "before = c().blas; loaded = 'numpy' in sys.modules; import numpy\n"
        "print(json.dumps([before, loaded, msgspec.to_builtins(c().blas)]))"
    )
    variables = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=variables)
    before, loaded, after = json.loads(answer.stdout)
    assert (before, loaded) == ([], False)
    assert "openblas" in {blas["library"] for blas in after}
    assert {blas["threads"] for blas in after if blas["library"] == "openblas"} == {1}
    assert b"/" not in json.dumps(after).encode()


def test_it_is_quick():
    capture_environment()
    began = time.perf_counter()
    capture_environment()
    assert time.perf_counter() - began < 0.5


# --- distributions ------------------------------------------------------------------------------------------


def test_names_are_normalised_and_the_first_on_the_path_counts(tmp_path):
    install(tmp_path / "a", "Zope.Inter_face", "2.0")
    install(tmp_path / "b", "zope-inter-face", "1.0")
    install(tmp_path / "b", "Alpha", "3")
    found = probe.installed([str(tmp_path / "a"), str(tmp_path / "b")])
    assert [(p["name"], p["version"]) for p in found] == [("alpha", "3"), ("zope-inter-face", "2.0")]


def test_odd_metadata_is_survived(tmp_path):
    info = install(tmp_path, "latin", "1")
    (info / "METADATA").write_bytes(b"Name: latin\nVersion: 1\nAuthor: J\xfcrgen\n")
    (install(tmp_path, "empty", "1") / "METADATA").write_text("")
    install(tmp_path, "note", "1", direct_url="[")
    install(tmp_path, "list", "1", direct_url='{"dir_info": []}')
    install(tmp_path, "egg", "1", folder="egg-1.dist-info")
    found = probe.installed([str(tmp_path), str(tmp_path / "missing")])
    assert [(p["name"], p["editable"], p["record"]) for p in found] == [
        (name, False, None) for name in ("egg", "latin", "list", "note")
    ]


def test_editable_is_told_without_its_place(tmp_path):
    note = json.dumps({"dir_info": {"editable": True}, "url": f"file:///home/{CANARY}"})
    install(tmp_path, "mine", "1", record=f"/home/{CANARY}/x,sha256=a,1\n", direct_url=note)
    (found,) = probe.installed([str(tmp_path)])
    assert found == {"name": "mine", "version": "1", "record": None, "editable": True}


def test_private_copies_of_setuptools_do_not_count(tmp_path):
    install(tmp_path / "setuptools/_vendor", "packaging", "0")
    assert probe.installed([str(tmp_path / "setuptools/_vendor")]) == []


PIP = """\
../../../bin/tool,sha256=AAA,210
pkg/__init__.py,sha256=BBB,10
pkg/__pycache__/__init__.cpython-311.pyc,,
pkg/data.bin,sha256=CCC,5
pkg-1.dist-info/INSTALLER,sha256=pip,4
pkg-1.dist-info/METADATA,sha256=DDD,6
pkg-1.dist-info/RECORD,,
pkg-1.dist-info/REQUESTED,sha256=EEE,0
"""
UV = """\
pkg/data.bin,sha256=CCC,5\r
pkg/__init__.py,sha256=BBB,10\r
pkg-1.dist-info/METADATA,sha256=DDD,6\r
pkg-1.dist-info/INSTALLER,sha256=uv,2\r
pkg-1.dist-info/RECORD,,\r
../../../bin/tool,sha256=FFF,180\r
"""


def test_a_record_is_the_same_whatever_installed_it():
    expected = "pkg-1.dist-info/METADATA,sha256=DDD\npkg/__init__.py,sha256=BBB\npkg/data.bin,sha256=CCC\n"
    assert probe.record_digest(PIP) == probe.record_digest(UV) == hashlib.sha256(expected.encode()).hexdigest()
    assert probe.record_digest(PIP.replace("CCC", "XXX")) != probe.record_digest(PIP)


# --- the machine --------------------------------------------------------------------------------------------


def test_numeric_cpu_features():
    linux = ["processor : 0", "flags\t\t: fpu avx2 avx512f sse4_2 fma amx_tile aes", "", "flags : sse4_2 avx"]
    assert probe.numeric_features(linux, first=True) == ["amx_tile", "avx2", "avx512f", "fma", "sse4_2"]
    assert probe.numeric_features(["Features : fp asimd evtstrm sve2"], first=True) == ["asimd", "sve2"]
    intel = ["machdep.cpu.features: FPU SSE4.2 AVX1.0 FMA", "machdep.cpu.leaf7_features: AVX2 SMEP"]
    assert probe.numeric_features(intel) == ["avx", "avx2", "fma", "sse4_2"]
    apple = ["hw.optional.arm.FEAT_BF16: 1", "hw.optional.arm.FEAT_SME: 0", "hw.optional.AdvSIMD: 1"]
    assert probe.numeric_features(apple) == ["asimd", "bf16"]


# --- another interpreter ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    folder = tmp_path_factory.mktemp("other")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder


def site(folder):
    return next(folder.glob("lib/python3*/site-packages"))


def test_another_interpreter_needs_nothing_of_ours(other, tmp_path, monkeypatch):
    install(site(other), "only-there", "4.2")
    for shadow in ("json.py", "hashlib.py", "sysconfig.py"):
        (tmp_path / shadow).write_text("raise SystemExit('shadowed')")
    install(tmp_path, "in-the-current-folder", "1")
    monkeypatch.chdir(tmp_path)
    environment = capture_interpreter(other / "bin/python")
    assert environment.packages == [Package("only-there", "4.2")]
    here = capture_environment()
    assert (environment.python, environment.abi) == (here.python, here.abi)
    assert environment.cpu_features == here.cpu_features


def test_this_interpreter_from_outside_is_as_from_inside():
    outside, inside = capture_interpreter(Path(sys.executable)), capture_environment()
    assert diff_environments(outside, inside) == []


def test_start_up_files_may_print(other):
    (site(other) / "noise.pth").write_text("import sys; print('hello')\n")
    assert capture_interpreter(other / "bin/python").python == platform.python_version()


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (None, "No such file"),
        ("exit 3", "it ended with 3"),
        ("echo broken >&2; exit 1", "broken"),
        ("echo 5", "its answer is not an environment"),
        ("printf '\\377'", "its answer is not an environment"),
    ],
)
def test_an_interpreter_that_fails_is_named(tmp_path, script, why):
    python = tmp_path / "python"
    if script:
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
    with pytest.raises(OutsideError, match=why):
        capture_interpreter(python)


def test_the_probe_is_old_python_without_imports_of_ours():
    tree = ast.parse(Path(probe.__file__).read_text(), feature_version=(3, 9))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""])
    }
    assert imported - {"threadpoolctl"} <= sys.stdlib_module_names


# --- comparing ----------------------------------------------------------------------------------------------


def environment(**changes):
    plain = {
        "python": "3.11.7",
        "implementation": "cpython",
        "abi": "cpython-311",
        "system": "Linux",
        "machine": "x86_64",
        "packages": [],
    }
    return Environment(**{**plain, **changes})


@pytest.mark.parametrize(
    ("a", "b", "lines"),
    [
        ({}, {}, []),
        ({}, {"python": "3.12.1"}, ["python 3.11.7 -> 3.12.1"]),
        (
            {"packages": [Package("numpy", "2.0"), Package("scikit-learn", "1.6.1")]},
            {"packages": [Package("pandas", "3"), Package("scikit-learn", "1.9.1")]},
            ["numpy: only in the first", "pandas: only in the second", "scikit-learn 1.6.1 -> 1.9.1"],
        ),
        (
            {"packages": [Package("a", "1", "x"), Package("b", "1", "x"), Package("c", "1", "x")]},
            {"packages": [Package("a", "1", "y"), Package("b", "1", None, editable=True), Package("c", "1")]},
            ["a 1: other files under the same version", "b 1: editable only in the second"],
        ),
        (
            {"variables": {"OMP_NUM_THREADS": "2", "TZ": "UTC"}},
            {"variables": {"OMP_NUM_THREADS": "1", "LANG": "C"}},
            ["OMP_NUM_THREADS 2 -> 1", "TZ UTC -> unset", "LANG unset -> C"],
        ),
        (
            {"blas": [Blas("openblas", "0.3.29", 2, "Haswell"), Blas("openmp", None, 2)]},
            {"blas": [Blas("openblas", "0.3.30", 1, "SkylakeX"), Blas("mkl", "1", 1)]},
            [
                "mkl: loaded only in the second",
                "openblas 0.3.29 -> 0.3.30",
                "threads of openblas 2 -> 1",
                "kernel of openblas Haswell -> SkylakeX",
                "openmp: loaded only in the first",
            ],
        ),
        ({"blas": [Blas("openblas", "0.3.29", 2)]}, {}, []),
        ({"cpu_features": ["avx", "fma"]}, {"cpu_features": ["avx"]}, ["CPU feature fma: only in the first"]),
        ({"cpu_features": ["avx"]}, {}, []),
    ],
)
def test_differences_are_readable(a, b, lines):
    assert diff_environments(environment(**a), environment(**b)) == lines


# --- editable packages ----------------------------------------------------------------------------------------


def test_the_code_of_editable_packages_is_kept_unless_the_project_has_it(project, other, tmp_path):
    folders = {"apart": tmp_path / "apart", "inside": project.root / "lib", "around": tmp_path}
    for name, folder in folders.items():
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.py").write_text("x = 1\n")
        note = json.dumps({"dir_info": {"editable": True}, "url": folder.as_uri()})
        install(site(other), name, "1", direct_url=note)
    install(site(other), "gone", "1", direct_url='{"dir_info": {"editable": true}, "url": "file:///no/such"}')
    install(site(other), "lin-lineage", "1", direct_url=note)
    blobs = project.store.blobs
    environment = capture_interpreter(other / "bin/python", blobs, project.root)
    sources = {package.name: package.source for package in environment.packages if package.editable}
    assert [name for name, source in sources.items() if source is None] == ["gone", "inside", "lin-lineage"]
    kept = {name: {file.path for file in read_tree(blobs, source).files} for name, source in sources.items() if source}
    assert kept["apart"] == {"apart.py"}
    assert "around.py" in kept["around"]
    assert not [path for path in kept["around"] if path.startswith("project/")]
    assert str(tmp_path).encode() not in encode(environment)
    plain = capture_interpreter(other / "bin/python").packages
    assert {package.source for package in plain} == {None}
