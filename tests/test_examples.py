"""The examples are run as their README says."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_the_wine_example(tmp_path: Path) -> None:
    folder = tmp_path / "wine"
    shutil.copytree(EXAMPLES / "wine", folder)
    block = re.search(r"^```sh\n(.*?)^```", (folder / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert block is not None
    variables = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = ["bash", "-euo", "pipefail", "-c", block[1]]
    subprocess.run(command, cwd=folder, env=variables, check=True, capture_output=True)
    listed = subprocess.run(["lin", "runs", "--json"], cwd=folder, env=variables, check=True, capture_output=True)
    runs = json.loads(listed.stdout)
    assert [run["params"]["alpha"] for run in runs] == [1.0, 0.01]
    assert all(run["status"] == "finished" and run["metrics"]["accuracy"] > 0.9 for run in runs)
    assert {read["version"] for run in runs for read in run["inputs"]} == {0}
    assert runs[0]["sweep"] == runs[1]["sweep"]
