"""`lin demo`: the story that lin was made for, played with its own commands on data that ships with scikit-learn.

Every command is printed before it runs, in a process of its own, exactly as one would type it. What the story claims
is checked at the end; if any of it does not hold, the exit code is 1.
"""

import csv
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from lin.cli.printing import console_for, line, table
from lin.errors import ConflictError, ExitCode, NotReproducibleError, OutsideError

EXPERIMENT = """
[experiments.progression]
table = "diabetes"
target = "progression"
features = "all"
rows = "progression is not null"
split = { test_size = 0.2, seed = 567248 }

[[experiments.progression.models]]
estimator = "sklearn.ensemble.GradientBoostingRegressor"
params = { n_estimators = [50, 100], max_depth = [3, 4], learning_rate = 0.1 }
"""
OTHER_LIBRARIES = ("scikit-learn==1.7.2", "scikit-learn==1.9.1")
"""Before and after a change in how trees are split; the demo takes the one that is not here."""

PATIENT = 108
"""One whose progression was never measured, and whom the two libraries see otherwise."""

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
        self.tell("An experiment is declared in lineage.toml: boosted trees over a grid of parameters.")
        with (self.folder / "lineage.toml").open("a") as file:
            file.write(EXPERIMENT)
        first = self.fit_and_promote("the first model", patient)

        other = _other_library()
        self.tell(f"Somebody trains the same with another library, {other} …")
        library = self.can("run", "progression", "--with", other)
        there = ["--with", other] if library else []
        second = self.promote("another library", patient, there=there) if library else first
        if not library:
            self.tell(f"{other} is not to be had here, so the story goes on without that model.")

        self.tell("… then fills the missing targets with the model's own predictions, and trains once more.")
        self.run("predict", "prognosis@production", "--table", "diabetes", "--into", "progression", *there)
        third = self.fit_and_promote("trained on filled targets", patient)

        self.tell("The metrics look better, and the prediction for the same patient is another. Why?")
        if library:
            self.run("why", first, second)
        self.run("why", first, third)
        if library:
            self.tell("From version 2 to 3 library and data changed. Which of them did how much? Run it and see:")
            self.run("why", second, third, "--attribute")

        self.tell("So: restore the table, run the first fit again from its record, and compare.")
        self.run("restore", "diabetes", "--version", "0", "--reason", "trained on its own output")
        if library:
            self.tell("Version 2 can be had again too, with the library of then:")
            self.run("rerun", second)
        self.run("rerun", first)
        self.promote("re-run of the first", patient, run="last")
        return self.check(library)

    def fit_and_promote(self, what: str, patient: dict[str, float]) -> str:
        """Run the grid, register its best fit, promote it, and predict with it."""
        self.run("run", "progression")
        return self.promote(what, patient)

    def promote(
        self, what: str, patient: dict[str, float], *, run: str | None = None, there: Sequence[str] = ()
    ) -> str:
        """Register a run, by default the best of the newest grid, promote it, and predict with it."""
        if run is None:
            newest = self.ask("runs", "--limit", "1")[0]["sweep"]
            best = self.ask("runs", "--sort", "metrics.rmse", "--where", f"sweep = '{newest}'", "--limit", "1")
            run = best[0]["id"][-8:]
        self.run("register", run, "prognosis", "--description", what)
        reference = f"prognosis@{len(self.predictions) + 1}"
        self.run("promote", reference, "production")
        self.predict(reference, what, patient, there)
        return reference

    def predict(self, model: str, what: str, patient: dict[str, float], there: Sequence[str]) -> None:
        """Predict for the same patient as ever, with the model in production."""
        printed = self.run("predict", "prognosis@production", "--row", json.dumps(patient), *there)
        self.predictions.append((model, what, float(printed)))

    def check(self, library: bool) -> dict[str, bool]:
        """What the story claims, asked of lin once more."""
        models = [model for model, _, _ in self.predictions]
        values = [value for _, _, value in self.predictions]
        changed = self.ask("diff", "diabetes@0", "diabetes@1")
        restored = self.ask("diff", "diabetes@0", "diabetes@2")
        proof = self.ask("verify", models[0], models[-1])
        rows = changed["updated"]
        claims = {
            f"the fill changed {rows} rows of one column": rows > ENOUGH
            and changed["columns"] == {"progression": rows},
            "it changed the prediction": values[-2] not in values[:-2],
            "the restored table is equal to version 0": restored["inserted"] + restored["deleted"] + restored["updated"]
            == 0,
            f"{models[-1]} predicts bit for bit what {models[0]} did": values[-1] == values[0],
            f"the re-run's verdict is: {proof['verdict']}": proof["verdict"] == "identical",
        }
        return claims | ({"another library predicts otherwise": values[0] != values[1]} if library else {})

    def close(self, held: dict[str, bool]) -> None:
        """The predictions side by side, and the claims."""
        self.tell("The same patient, each time:")
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

    def can(self, *words: str) -> bool:
        """As `run`, where it may turn out that what it takes cannot be had here."""
        try:
            self.run(*words)
        except NotReproducibleError:
            return False
        return True

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
        if done.returncode == ExitCode.NOT_REPRODUCIBLE:
            raise NotReproducibleError(f"lin {words[0]} cannot have what it takes", hint=f"look in {self.folder}")
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
    return dict(zip(names, data.data[PATIENT - 1].tolist(), strict=True))


def _other_library() -> str:
    from importlib.metadata import version

    installed = tuple(int(part) for part in version("scikit-learn").split(".")[:2])
    return OTHER_LIBRARIES[installed < (1, 8)]


def _free_folder(wanted: Path) -> Path:
    number = 2
    place = wanted
    while place.exists():
        place = wanted.with_name(f"{wanted.name}-{number}")
        number += 1
    return place
