"""Recipes with something otherwise: what is asked for, and nothing else; and what is as recorded is no change."""

import dataclasses
from pathlib import Path

import pytest

from lin.data.tables import open_table
from lin.errors import NotReproducibleError, UsageError
from lin.models.predict import fill_table
from lin.models.registry import find_version, read_registry
from lin.project import Project, open_project
from lin.proof.changes import Changes, apply_changes, parse_changes
from lin.proof.recipe import recipe_of
from lin.recipes import Recipe
from lin.records import FileRef, digest
from lin.runs.commands import fill_in
from lin.runs.execute import run_command
from lin.runs.query import RunInfo, read_run
from lin.runs.record import begin_run, capture
from lin.runs.source import read_tree

COMMAND = """
[experiments.wine]
command = "echo {alpha} {words}"
params = { alpha = 0.1, words = "a b" }
"""


def model_run(project: Project, reference: str = "boston@1") -> RunInfo:
    return read_run(project.store, find_version(read_registry(project.store), reference).run)


def change(project: Project, run: RunInfo, changes: Changes) -> tuple[Recipe, Recipe, list[str]]:
    """The recipe of the run, the changed one, and what was told."""
    recipe = recipe_of(project, run)
    return recipe, *apply_changes(project, run, recipe, changes)


def test_what_is_as_recorded_is_no_change(fitted: Project) -> None:
    everything = Changes(params={"alpha": 0.1}, source=True, data=True, environment=True)
    recipe, same, told = change(fitted, model_run(fitted), everything)
    assert told == []
    assert dataclasses.asdict(everything)["source"]
    assert (same.fit, same.tables, same.source, same.threads) == (
        recipe.fit,
        recipe.tables,
        recipe.source,
        recipe.threads,
    )


# --- parameters -------------------------------------------------------------------------------------------------------


def test_words_become_changes() -> None:
    found = parse_changes(["alpha=0.5", "name=ridge"], ["Scikit_Learn==1.7.2"])
    assert (found.params, found.packages) == ({"alpha": 0.5, "name": "ridge"}, {"scikit-learn": "1.7.2"})
    for params, packages in ((["alpha=1,2"], []), (["alpha=1", "alpha=2"], []), (["alpha"], []), ([], ["numpy"])):
        with pytest.raises(UsageError):
            parse_changes(params, packages)


def test_the_parameters_of_a_fit_are_its_estimators_and_seed_is_the_splits(fitted: Project) -> None:
    _, changed, told = change(fitted, model_run(fitted), Changes(params={"alpha": 5, "seed": 7, "solver": "svd"}))
    assert changed.fit is not None
    assert (changed.fit.params, changed.fit.seed) == ({"alpha": 5, "solver": "svd"}, 7)
    assert told == ["alpha 0.1 -> 5", "seed 1 -> 7", 'solver default -> "svd"']
    for seed in ("x", 1.5, True):
        with pytest.raises(UsageError, match="the seed of a split is a whole number"):
            change(fitted, model_run(fitted), Changes(params={"seed": seed}))


@pytest.fixture
def wine(project: Project) -> RunInfo:
    """A run of a declared command, whose declaration has changed since."""
    path = project.root / "lineage.toml"
    before = path.read_text()
    path.write_text(before + COMMAND)
    words = fill_in("wine", "echo {alpha} {words}", {"alpha": 0.1, "words": "a b"})
    run_id, _ = run_command(
        open_project(project.root),
        words.argv,
        folder=project.root,
        experiment="wine",
        params=dict(words.params),
    )
    path.write_text(before)
    return read_run(project.store, run_id)


def test_a_declared_command_is_filled_in_again_by_its_template_of_then(project: Project, wine: RunInfo) -> None:
    recipe, changed, told = change(project, wine, Changes(params={"words": "c d"}))
    assert recipe.command == ["echo", "0.1", "a b"]
    assert changed.command == ["echo", "0.1", "c d"]
    assert changed.params == {"alpha": 0.1, "words": "c d"}
    assert told == ['words "a b" -> "c d"']
    with pytest.raises(UsageError, match="experiment 'wine' has no parameter 'alhpa'") as caught:
        change(project, wine, Changes(params={"alhpa": 1}))
    assert caught.value.hint == "did you mean 'alpha'?"
    with pytest.raises(UsageError, match="declares no command of experiment 'wine'"):
        change(project, wine, Changes(params={"alpha": 1}, source=True))


def test_a_command_as_it_was_given_has_no_parameters(project: Project) -> None:
    run_id, _ = run_command(project, ["true"], folder=project.root)
    with pytest.raises(UsageError, match="it has no parameters to change"):
        change(project, read_run(project.store, run_id), Changes(params={"alpha": 1}))


# --- what is now ------------------------------------------------------------------------------------------------------


def test_the_current_source_names_the_files_that_differ(fitted: Project) -> None:
    (fitted.root / "shift.py").write_text("SHIFT = 2\n")
    (fitted.root / "new.py").write_text("")
    recipe, changed, told = change(fitted, model_run(fitted), Changes(source=True))
    assert told == ["source: shift.py, new.py"]
    assert changed.source not in {None, recipe.source}
    assert changed.tables == recipe.tables
    assert "new.py" in {file.path for file in read_tree(fitted.store.blobs, changed.source or "").files}


def test_the_current_data_are_the_newest_versions(fitted: Project) -> None:
    fill_table(fitted, "boston@1", open_table(fitted, "housing"), "medv")
    _, changed, told = change(fitted, model_run(fitted), Changes(data=True))
    assert told == ["data: housing@0 -> housing@1"]
    (table,) = changed.tables
    assert (table.version, table.rows) == (1, 45)  # type: ignore[union-attr]
    assert fitted.store.blobs.size(table.pin)  # type: ignore[union-attr]


def test_another_order_is_other_data(fitted: Project) -> None:
    path = fitted.root / "lineage.toml"
    path.write_text(path.read_text().replace('key = [\n    "ID",\n]', 'key = ["ID"]\norder = ["rm"]'))
    project = open_project(fitted.root)
    assert project.config.tables["housing"].order == ["rm"]
    _, changed, told = change(project, model_run(project), Changes(data=True))
    assert told == ["data: housing@0 -> housing@0, in the order rm"]
    assert changed.tables[0].order == ["rm"]  # type: ignore[union-attr]


def reader(project: Project, content: bytes) -> RunInfo:
    """A run that read `in.txt`, which had that content."""
    recorder = begin_run(project, capture(project), kind="command", name="it", command=["true"])
    recorder.log_input(FileRef(path="in.txt", sha256=digest(content), bytes=len(content)))
    recorder.seal("finished", exit_code=0)
    return read_run(project.store, recorder.id)


def test_current_files_have_their_content_of_now(project: Project) -> None:
    live = project.root / "in.txt"
    live.write_bytes(b"new")
    _, changed, told = change(project, reader(project, b"old"), Changes(data=True))
    assert told == ["data: file in.txt"]
    assert changed.files == [FileRef(path="in.txt", sha256=digest(b"new"), bytes=3)]
    live.unlink()
    with pytest.raises(NotReproducibleError, match=r"the current file in\.txt cannot be read"):
        change(project, reader(project, b"old"), Changes(data=True))


def test_the_current_environment_takes_its_variables_along(fitted: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "5")
    recipe, changed, told = change(fitted, model_run(fitted), Changes(environment=True))
    assert told == ["environment: PYTHONHASHSEED unset -> 5"]
    assert (recipe.variables.get("PYTHONHASHSEED"), changed.variables["PYTHONHASHSEED"]) == (None, "5")
    assert changed.environment != recipe.environment


def test_packages_are_told_by_their_versions(fitted: Project) -> None:
    changes = Changes(packages={"toolz": "1.0.0", "numpy": None})
    recipe, changed, told = change(fitted, model_run(fitted), changes)
    assert changed.packages == {"toolz": "1.0.0", "numpy": None}
    assert told[0] == "environment: toolz none -> 1.0.0"
    assert told[1].startswith("environment: numpy ")
    assert told[1].endswith(" -> none")
    unrecorded = Recipe(kind="command", name="it", command=["true"])
    with pytest.raises(UsageError, match="recorded no environment"):
        apply_changes(fitted, model_run(fitted), unrecorded, changes)
    assert recipe.packages == {}


def test_the_live_project_is_only_read(fitted: Project, tmp_path: Path) -> None:
    before = sorted(path.relative_to(fitted.root) for path in fitted.root.iterdir())
    change(fitted, model_run(fitted), Changes(source=True, data=True))
    assert sorted(path.relative_to(fitted.root) for path in fitted.root.iterdir()) == before
    assert tmp_path.is_dir()
