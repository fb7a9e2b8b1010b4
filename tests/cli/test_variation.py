"""`lin run --with`: the same command line in an environment with other versions, by real processes."""

import json
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from sklearn.datasets import load_diabetes

from lin.proof.environments.build import find_uv


@pytest.fixture
def lin(project, tmp_path):
    """Runs lin in the project; lin's cache is empty, uv's is that of whoever runs the tests."""
    home = {**os.environ, "HOME": pwd.getpwuid(os.getuid()).pw_dir}
    told = subprocess.run([find_uv(), "cache", "dir"], env=home, capture_output=True, text=True, check=True)
    bin_folder = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"UV_CACHE_DIR": told.stdout.strip(), "LIN_CACHE": str(tmp_path / "cache"), "PATH": bin_folder}

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-P", "-m", "lin", *words]
        return subprocess.run(
            command, cwd=project.root, env={**os.environ, **own}, capture_output=True, text=True, check=False
        )

    return run


def test_a_fit_in_an_older_scikit_learn(lin, project, tmp_path):
    features, target = load_diabetes(return_X_y=True)
    frame = pd.DataFrame(features * 1000).add_prefix("x").assign(y=target).rename_axis("ID")
    frame.to_csv(tmp_path / "t.csv")
    assert lin("add", "t", str(tmp_path / "t.csv"), "--key", "ID").returncode == 0
    with (project.root / "lineage.toml").open("a") as file:
        file.write(
            '\n[experiments.ridge]\ntable = "t"\ntarget = "y"\n\n[[experiments.ridge.models]]\n'
            'estimator = "sklearn.linear_model.RidgeCV"\n'
        )
    now, then = lin("run", "ridge", "--json"), lin("run", "ridge", "--json", "--with", "scikit-learn==1.7.2")
    assert (now.returncode, then.returncode) == (0, 0)
    assert "in a variation of this environment: scikit-learn " in then.stderr
    (new,), (old,) = json.loads(now.stdout), json.loads(then.stdout)
    assert old["params"] == new["params"]
    assert old["metrics"] != new["metrics"]  # RidgeCV is one that changed between these versions
    packages = [
        {package["name"]: package["version"] for package in json.loads(project.store.blobs.read(run))["packages"]}
        for run in (new["environment"], old["environment"])
    ]
    assert packages[1] == packages[0] | {"scikit-learn": "1.7.2"}


def test_a_program_with_a_python_of_its_own(lin, project, tmp_path):
    own = tmp_path / "own"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", own], check=True)
    code = "import six, sys; print(six.__version__); sys.exit(3)"
    answer = lin("run", "--name", "mine", "--with", "six==1.16.0", "--", str(own / "bin/python"), "-c", code)
    assert (answer.returncode, answer.stdout) == (3, "1.16.0\n")
    assert f"in a variation of the environment of {own}/bin/python: six none -> 1.16.0" in answer.stderr
    (run,) = json.loads(lin("runs", "--json").stdout)
    assert (run["name"], run["exit_code"], run["command"][0]) == ("mine", 3, "python")
    recorded = json.loads(project.store.blobs.read(run["environment"]))["packages"]
    assert [(package["name"], package["version"]) for package in recorded] == [("six", "1.16.0")]


def test_what_is_there_already_and_what_cannot_be(lin):
    from lin.version import __version__

    answer = lin("run", "--with", f"lin-lineage=={__version__}", "--", "python", "-c", "print(5)")
    assert (answer.returncode, answer.stdout) == (0, "5\n")
    assert "this environment has that already" in answer.stderr
    assert lin("run", "--with", "six", "--", "python").returncode == 2
    cannot = lin("run", "--with", "no-such-package-of-ours==1", "--", "python", "-c", "print(5)")
    assert (cannot.returncode, cannot.stdout) == (14, "")
    assert "no-such-package-of-ours 1" in cannot.stderr
