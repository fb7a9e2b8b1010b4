"""Other seeds: wherever two recipes have another seed, and nowhere else."""

from collections.abc import Sequence

import msgspec

from lin.proof.attribution.anchors import Trial
from lin.proof.attribution.seeds import reseed, spread_seeds
from lin.recipes import Recipe
from lin.records import Fit

FIT = Fit(estimator=["sklearn.linear_model.SGDRegressor"], target="y", params={"alpha": 1, "random_state": 4}, seed=4)


def test_of_a_fit_its_own_and_that_of_its_estimator() -> None:
    recipe = Recipe(kind="train", name="cell", fit=FIT)
    other = msgspec.structs.replace(
        recipe, fit=msgspec.structs.replace(FIT, seed=7, params={"alpha": 1, "random_state": 7})
    )
    again = reseed(recipe, other, 101)
    assert again.fit == msgspec.structs.replace(FIT, seed=101, params={"alpha": 1, "random_state": 101})
    kept = msgspec.structs.replace(recipe, fit=msgspec.structs.replace(FIT, params={"alpha": 1, "random_state": 7}))
    assert reseed(recipe, kept, 101).fit == msgspec.structs.replace(FIT, params={"alpha": 1, "random_state": 101})


def test_of_a_command_its_words_params_and_variables() -> None:
    recipe = Recipe(
        kind="command",
        name="cell",
        command=["python", "train.py", "--seed", "4", "4", "seed=4"],
        params={"seed": 4, "n": 4},
        variables={"PYTHONHASHSEED": "4", "OMP_NUM_THREADS": "4"},
    )
    other = msgspec.structs.replace(
        recipe,
        command=["python", "train.py", "--seed", "12", "4", "seed=12"],
        params={"seed": 12, "n": 4},
        variables={"PYTHONHASHSEED": "12", "OMP_NUM_THREADS": "4"},
    )
    again = reseed(recipe, other, 101)
    assert again.command == ["python", "train.py", "--seed", "101", "4", "seed=101"]
    assert again.params == {"seed": 101, "n": 4}
    assert again.variables == {"PYTHONHASHSEED": "101", "OMP_NUM_THREADS": "4"}


class Lab:
    """The outcome is the seed, a hundred higher at B's side; 102 fails there."""

    width = 1

    def __init__(self) -> None:
        self.asked: list[str] = []

    def measure(self, trials: Sequence[Trial]) -> list[float | None]:
        self.asked += [trial.what for trial in trials]
        seeds = [trial.recipe.fit.seed for trial in trials if trial.recipe.fit]
        return [
            None if what == "B, seed 102" else seed + 100.0 * what.startswith("B")
            for seed, what in zip(seeds, self.asked, strict=True)
        ]

    def expect(self, more: int) -> None:
        raise AssertionError(more)

    def seconds(self) -> float:
        return 1.0


def test_both_sides_get_the_same_seeds() -> None:
    a = Recipe(kind="train", name="cell", fit=FIT)
    b = msgspec.structs.replace(a, fit=msgspec.structs.replace(FIT, seed=7, target="z"))
    other = (
        msgspec.structs.replace(a, fit=msgspec.structs.replace(FIT, seed=7)),
        msgspec.structs.replace(b, fit=msgspec.structs.replace(FIT, seed=4, target="z")),
    )
    lab = Lab()
    found = spread_seeds((a, b), other, 2, lab)
    assert (found.seeds, found.a, found.b) == ([101, 102], [101.0, 102.0], [201.0, None])
    assert lab.asked == ["A, seed 101", "A, seed 102", "B, seed 101", "B, seed 102"]
