"""`lin demo`: the story that lin was made for, played with its own commands on data that ships with scikit-learn.

Every command is printed before it runs, in a process of its own, exactly as one would type it. What the story claims
is checked at the end; if any of it does not hold, the exit code is 1.
"""

import csv
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lin.cli.printing import console_for, line, table
from lin.errors import ConflictError, ExitCode, OutsideError

EXPERIMENT = """
[experiments.progression]
table = "diabetes"
target = "progression"
features = "all"
rows = "progression is not null"
split = { test_size = 0.2, seed = 567248 }

[[experiments.progression.models]]
estimator = "sklearn.linear_model.Ridge"
params = { alpha = [1.0, 0.5, 0.1, 0.01, 0.005, 0.001] }

[[experiments.progression.models]]
estimator = "sklearn.linear_model.Lasso"
params = { alpha = [1.0, 0.5, 0.1, 0.01, 0.005, 0.001] }
"""
ENOUGH = 100
BLANK_EVERY = 3
"""The fixed rule: each third patient has no measured progression."""


def demo(
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="A folder to make (default: lin-demo, or the next free).")
    ] = None,
) -> None:
    """Play the whole story on real data, in a folder of its own."""
    place = folder or _free_folder(Path("lin-demo"))
    if place.exists():
        raise ConflictError(f"'{place}' exists already", hint="lin demo ANOTHER-FOLDER")
    place.mkdir(parents=True)
    story = _Story(place)
    patient = _write_patients(place / "diabetes.csv")
    held = story.play(patient)
    story.close(held)
    if not all(held.values()):
        raise typer.Exit(ExitCode.NO)


class _Story:
    """Runs commands in the demo's folder and tells what happens between them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.console = console_for(stderr=False)
        self.predictions: list[tuple[str, str, float]] = []

    def play(self, patient: dict[str, float]) -> dict[str, bool]:
        """Tell the story; returns its claims and whether each held."""
        self.tell("442 patients, ten measurements each. For every third one the progression was never measured.")
        self.run("init")
        self.run("add", "diabetes", "diabetes.csv", "--key", "ID")
        self.tell("An experiment is declared in lineage.toml: Ridge and Lasso over a grid of alphas.")
        with (self.folder / "lineage.toml").open("a") as file:
            file.write(EXPERIMENT)
        self.fit_and_promote(1, "the first model", patient)

        self.tell("Somebody fills the missing targets with the model's own predictions, and trains again …")
        self.run("predict", "prognosis@production", "--table", "diabetes", "--into", "progression")
        self.fit_and_promote(2, "trained on filled targets", patient)

        self.tell("The metrics look better, and the prediction for the same patient is another. Why? Ask the table:")
        self.run("history", "diabetes")
        self.run("diff", "diabetes@0", "diabetes@1", "--limit", "3")
        self.tell("and the model: version 2 stands on what version 1 predicted.")
        self.run("trace", "prognosis@2")

        self.tell("So: restore the table, run the first fit again from its record, and compare.")
        self.run("restore", "diabetes", "--version", "0", "--reason", "trained on its own output")
        self.run("rerun", "prognosis@1")
        self.run("register", "last", "prognosis", "--description", "re-run of version 1")
        self.run("promote", "prognosis@3", "production")
        self.predict("prognosis@3", "re-run of the first", patient)
        return self.check()

    def fit_and_promote(self, version: int, what: str, patient: dict[str, float]) -> None:
        """Run the grid, register its best fit, promote it, and predict with it."""
        self.run("run", "progression")
        best = self.ask("runs", "--sort", "metrics.rmse", "--where", f"inputs.diabetes = {version - 1}", "--limit", "1")
        self.run("register", best[0]["id"][-8:], "prognosis", "--description", what)
        self.run("promote", f"prognosis@{version}", "production")
        self.predict(f"prognosis@{version}", what, patient)

    def predict(self, model: str, what: str, patient: dict[str, float]) -> None:
        """Predict for the same patient as ever, with the model in production."""
        printed = self.run("predict", "prognosis@production", "--row", json.dumps(patient))
        self.predictions.append((model, what, float(printed)))

    def check(self) -> dict[str, bool]:
        """What the story claims, asked of lin once more."""
        first, second, third = (value for _, _, value in self.predictions)
        changed = self.ask("diff", "diabetes@0", "diabetes@1")
        restored = self.ask("diff", "diabetes@0", "diabetes@2")
        proof = self.ask("verify", "prognosis@1", "prognosis@3")
        rows = changed["updated"]
        return {
            f"the fill changed {rows} rows of one column": rows > ENOUGH
            and changed["columns"] == {"progression": rows},
            "it changed the prediction": first != second,
            "the restored table is equal to version 0": restored["inserted"] + restored["deleted"] + restored["updated"]
            == 0,
            "version 3 predicts bit for bit what version 1 did": first == third,
            f"the re-run's verdict is: {proof['verdict']}": proof["verdict"] == "identical",
        }

    def close(self, held: dict[str, bool]) -> None:
        """The three predictions side by side, and the claims."""
        self.tell("The same patient, three models:")
        self.console.print(table(("model", "what", "prediction"), [(m, w, repr(v)) for m, w, v in self.predictions]))
        self.console.print()
        for claim, holds in held.items():
            self.console.print(line(f"{'yes' if holds else 'NO '}  {claim}", "green" if holds else "bold red"))
        self.tell(
            f"All of it is in '{self.folder}': cd {self.folder}, then try lin runs, lin show prognosis@2, lin models."
        )

    def tell(self, text: str) -> None:
        """A line of narration."""
        self.console.print()
        self.console.print(line(text, "italic"))

    def run(self, *words: str) -> str:
        """Print a command, run it, print and return its output. Raises `OutsideError` if it fails."""
        self.console.print()
        self.console.print(line(f"$ lin {shlex.join(words)}", "bold cyan"))
        sys.stdout.flush()
        return self._lin(words)

    def ask(self, *words: str) -> Any:
        """Ask through `--json`, without printing."""
        done = subprocess.run(
            [sys.executable, "-m", "lin", *words, "--json"],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            check=False,
        )
        return json.loads(done.stdout)

    def _lin(self, words: tuple[str, ...]) -> str:
        if words[0] != "predict":  # let the command see the terminal
            done = subprocess.run([sys.executable, "-m", "lin", *words], cwd=self.folder, check=False)
            output = ""
        else:
            captured = subprocess.run(
                [sys.executable, "-m", "lin", *words],
                cwd=self.folder,
                stdout=subprocess.PIPE,
                text=True,
                check=False,
            )
            done, output = captured, captured.stdout  # type: ignore[assignment]
            sys.stdout.write(output)
        if done.returncode:
            raise OutsideError(f"lin {words[0]} failed with exit code {done.returncode}", hint=f"look in {self.folder}")
        return output


def _write_patients(path: Path) -> dict[str, float]:
    """Write scikit-learn's diabetes data as CSV, every third target blank; returns one patient's measurements."""
    from sklearn.datasets import load_diabetes

    data = load_diabetes(scaled=False)
    names = list(data.feature_names)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ID", *names, "progression"])
        for number, (row, target) in enumerate(zip(data.data.tolist(), data.target.tolist(), strict=True), 1):
            writer.writerow([number, *row, "" if number % BLANK_EVERY == 0 else target])
    return dict(zip(names, data.data[BLANK_EVERY - 1].tolist(), strict=True))


def _free_folder(wanted: Path) -> Path:
    number = 2
    place = wanted
    while place.exists():
        place = wanted.with_name(f"{wanted.name}-{number}")
        number += 1
    return place
