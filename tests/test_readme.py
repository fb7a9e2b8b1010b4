"""The README's blocks are run: what it shows is what happens."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

README = (Path(__file__).parent.parent / "README.md").read_text()
MAKEFILE = (Path(__file__).parent.parent / "Makefile").read_text()
BLOCKS = {
    language: re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    for language in ("sh", "text", "python")
}


@pytest.fixture
def variables() -> dict[str, str]:
    """The environment of a user who has `lin` on PATH."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def run(command: list[str], folder: Path, variables: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_first_screen_is_two_make_targets() -> None:
    assert BLOCKS["sh"][0] == "make demo\nmake test\n"
    for target in ("demo", "test"):
        assert re.search(rf"^{target}: \$\(VENV\)/installed", MAKEFILE, re.MULTILINE)


def test_the_demo_ends_as_the_readme_shows(tmp_path: Path, variables: dict[str, str]) -> None:
    printed = run(["lin", "demo", "there"], tmp_path, variables)
    if "is not to be had here" in printed:
        pytest.skip("the other library cannot be had: the demo left that part out, and said so")
    ending = printed[printed.index("The same patient, each time:") :]
    assert rounded(ending).startswith(rounded(BLOCKS["text"][0]))
    assert (tmp_path / "there/lineage.toml").exists()


def rounded(text: str) -> str:
    """The last digits of a fit are the machine's own; the padding after them follows their number."""
    digits = re.sub(r"\d+\.\d{5,}", lambda match: f"{float(match[0]):.6g}", text)
    return re.sub(r" +$", "", digits, flags=re.MULTILINE)


def test_the_block_for_your_own_project_runs(tmp_path: Path, variables: dict[str, str]) -> None:
    write_housing(tmp_path / "housing.csv")
    block = re.sub(r"^pip install .*\n", "", BLOCKS["sh"][1], flags=re.MULTILINE)
    printed = run(["bash", "-euo", "pipefail", "-c", block], tmp_path, variables)
    assert "boston@1 is in production" in printed
    assert "identical: re-run" in printed
    (tmp_path / "train.py").write_text(BLOCKS["python"][0])
    run(["lin", "run", "--", "python", "train.py"], tmp_path, variables)
    shown = run(["lin", "show", "last"], tmp_path, variables)
    assert re.search(r"read +housing@0, 60 rows", shown)
    assert re.search(r"rmse +4\.7", shown)


def write_housing(path: Path) -> None:
    random = np.random.default_rng(1)
    rows = random.normal(size=(60, 2)).round(3)
    numbered = [(n, rm, lstat) for n, (rm, lstat) in enumerate(rows, 1)]
    lines = [f"{n},{rm},{lstat},{'' if n % 3 == 0 else round(20 + 3 * rm - lstat, 2)}" for n, rm, lstat in numbered]
    path.write_text("\n".join(["ID,rm,lstat,medv", *lines]) + "\n")
