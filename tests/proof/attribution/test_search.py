"""The whole search over planted causes, in a world of recipes whose outcome is a formula: found, and only they."""

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.proof.attribution.anchors import Trial
from lin.proof.attribution.search import Findings, Question, search_cause
from lin.recipes import Recipe

AXES = ("data", "source", "environment", "params", "seed", "host")
Sides = Mapping[str, str]
Formula = Callable[[Sides], float | None]


def take(a: Recipe, b: Recipe, axes: Collection[str]) -> Recipe:
    params = {key: (b if key.split(":")[0] in axes else a).params[key] for key in a.params}
    return msgspec.structs.replace(a, params=params)


@dataclass(frozen=True)
class Parting:
    parts: list[str]
    ordered: bool
    make: Callable[[frozenset[int]], Recipe]


@dataclass
class World:
    """Recipes have params such as `data:3`, each at A's side or at B's; parts with a common first letter lie in one."""

    formula: Formula
    parts: Mapping[str, int]
    ordered: Collection[str] = ()
    width: int = 2
    cost: float = 1.0
    asked: list[Trial] = field(default_factory=list)
    expected: int = 0

    def recipe(self, side: str) -> Recipe:
        return Recipe(
            kind="command",
            name=side,
            params={f"{axis}:{part}": side for axis, count in self.parts.items() for part in range(count)},
        )

    def divide(self, low: Recipe, high: Recipe) -> Parting:
        differ = [key for key in low.params if low.params[key] != high.params[key]]

        def make(chosen: frozenset[int]) -> Recipe:
            return msgspec.structs.replace(low, params=low.params | {differ[at]: "B" for at in chosen})

        return Parting(differ, differ[0].split(":")[0] in self.ordered, make)

    def measure(self, trials: Sequence[Trial]) -> list[float | None]:
        self.asked += trials
        return [self.formula({key: str(value) for key, value in trial.recipe.params.items()}) for trial in trials]

    def expect(self, more: int) -> None:
        self.expected = more

    def seconds(self) -> float:
        return self.cost

    def search(self, *, recorded: tuple[float | None, float | None] | None = None, **options: float) -> Findings:
        a, b = self.recipe("A"), self.recipe("B")
        if recorded is None:
            recorded = (self.formula(a.params), self.formula(b.params))  # type: ignore[arg-type]
        settings = {"budget": options.get("budget", 600.0), "seeds": 0}
        question = Question(a, b, list(self.parts), recorded, take, self.divide, **settings)  # type: ignore[arg-type]
        return search_cause(question, self)


def moved(sides: Sides, *keys: str) -> bool:
    """Whether all these parts are at B's side."""
    return all(sides[key] == "B" for key in keys)


def named(found: Findings) -> dict[str, list[str]]:
    return {cause.axis: cause.parts for cause in found.causes}


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, int]:
    axes = draw(st.lists(st.sampled_from(AXES), min_size=1, max_size=4, unique=True))
    return {axis: draw(st.integers(1, 12)) for axis in sorted(axes, key=AXES.index)}


# --- planted causes ---------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(worlds(), st.data())
def test_one_part_of_one_axis(parts: dict[str, int], data: st.DataObject) -> None:
    axis = data.draw(st.sampled_from(sorted(parts)))
    guilty = f"{axis}:{data.draw(st.integers(0, parts[axis] - 1))}"
    ordered = [axis] if data.draw(st.booleans()) else []
    world = World(lambda sides: 3.0 if moved(sides, guilty) else 5.0, parts, ordered)
    found = world.search()
    assert found.verdict == "cause"
    assert named(found) == {axis: [guilty]}
    assert [check.holds for check in found.checks] == [True, True]
    assert found.causes[0].share == 1.0
    assert all(effect.shapley == 0 for effect in found.effects if effect.axes != [axis])
    assert not any(interaction.effect for interaction in found.interactions)


@settings(max_examples=25, deadline=None)
@given(worlds().filter(lambda parts: len(parts) > 1), st.data())
def test_two_that_only_do_it_together(parts: dict[str, int], data: st.DataObject) -> None:
    one, two = data.draw(st.permutations(sorted(parts)))[:2]
    guilty = [f"{axis}:{data.draw(st.integers(0, parts[axis] - 1))}" for axis in (one, two)]
    found = World(lambda sides: 9.0 if moved(sides, *guilty) else 5.0, parts).search()
    assert (found.verdict, found.relation) == ("joint cause", "only together")
    assert named(found) == {key.split(":")[0]: [key] for key in guilty}
    assert {cause.share for cause in found.causes} == {0.5}


@settings(max_examples=25, deadline=None)
@given(worlds().filter(lambda parts: len(parts) > 1), st.data())
def test_two_that_add_up(parts: dict[str, int], data: st.DataObject) -> None:
    one, two = data.draw(st.permutations(sorted(parts)))[:2]
    guilty = {f"{axis}:{parts[axis] - 1}": effect for axis, effect in ((one, 0.6), (two, 0.4))}
    world = World(lambda sides: 5.0 + sum(effect for key, effect in guilty.items() if moved(sides, key)), parts)
    found = world.search()
    assert (found.verdict, found.relation) == ("cause", "sum")
    assert named(found) == {key.split(":")[0]: [key] for key in guilty}
    assert {cause.axis: round(cause.share or 0, 6) for cause in found.causes} == {one: 0.6, two: 0.4}


def test_each_of_two_would_do() -> None:
    world = World(
        lambda sides: 9.0 if moved(sides, "data:1") or moved(sides, "params:2") else 5.0, {"data": 3, "params": 3}
    )
    found = world.search()
    assert (found.verdict, found.relation) == ("joint cause", "either")
    assert named(found) == {"data": ["data:1"], "params": ["params:2"]}


def test_one_that_dampens_another_is_named_too() -> None:
    """Data alone does 150 %, and the parameter takes a third of it away."""

    def formula(sides: Sides) -> float:
        return 5.0 + (3.0 - moved(sides, "params:0")) * moved(sides, "data:0")

    found = World(formula, {"data": 2, "params": 2}).search()
    assert found.verdict == "joint cause"
    assert named(found) == {"data": ["data:0"], "params": ["params:0"]}


def test_two_parts_of_an_axis_that_each_do_half() -> None:
    world = World(
        lambda sides: 5.0 + moved(sides, "environment:3") + moved(sides, "environment:8"),
        {"environment": 11, "host": 1},
    )
    found = world.search()
    assert found.verdict == "cause"
    assert named(found) == {"environment": ["environment:3", "environment:8"]}
    assert found.steps[0].relation == "sum"


def test_two_commits_that_each_do_half() -> None:
    formula = lambda sides: 5.0 + moved(sides, "data:3") + moved(sides, "data:8")  # noqa: E731
    found = World(formula, {"data": 11}, ["data"]).search()
    assert (found.verdict, named(found)) == ("cause", {"data": ["data:3", "data:8"]})


# --- what cannot run --------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(list(itertools.combinations(AXES[:4], 2))))
def test_axes_that_only_run_together_are_a_joint_cause(pair: tuple[str, str]) -> None:
    one, two = (f"{axis}:0" for axis in pair)
    world = World(
        lambda sides: None if moved(sides, one) != moved(sides, two) else 9.0 if moved(sides, one) else 5.0,
        dict.fromkeys(AXES[:4], 2),
    )
    found = world.search()
    assert found.verdict == "joint cause"
    assert found.blocks == [list(pair)]
    assert set(named(found)) == set(pair)
    effect = next(effect for effect in found.effects if effect.axes == list(pair))
    assert (effect.share, effect.alone, effect.taken_out) == (1.0, 4.0, 4.0)


def test_where_nothing_between_runs_all_axes_are_one_cause() -> None:
    def formula(sides: Sides) -> float | None:
        return {("A", "A", "A"): 5.0, ("B", "B", "B"): 9.0}.get(tuple(sides.values()))  # type: ignore[arg-type]

    found = World(formula, {"data": 1, "source": 1, "params": 1}).search()
    assert (found.verdict, found.blocks) == ("joint cause", [["data", "source", "params"]])
    assert set(named(found)) == {"data", "source", "params"}


def test_a_block_beside_the_cause_does_not_hide_it() -> None:
    """New code and a new option only run together and do nothing; the data did it."""
    world = World(
        lambda sides: (
            None if moved(sides, "source:0") != moved(sides, "params:0") else 9.0 if moved(sides, "data:1") else 5.0
        ),
        {"data": 3, "source": 1, "params": 1},
    )
    found = world.search()
    assert (found.verdict, named(found)) == ("cause", {"data": ["data:1"]})
    assert found.blocks == [["source", "params"]]


def test_a_part_whose_absence_cannot_run_is_no_single_cause() -> None:
    """One package does it by itself, but none of the others runs without it."""
    world = World(
        lambda sides: 9.0 if moved(sides, "environment:2") else 5.0 if "B" not in sides.values() else None,
        {"environment": 5},
    )
    found = world.search()
    assert (found.verdict, named(found)) == ("joint cause", {"environment": ["environment:2"]})
    assert [check.holds for check in found.checks] == [True, False]


# --- before the search ------------------------------------------------------------------------------------------------


def test_nothing_to_explain() -> None:
    found = World(lambda _: 5.0, {"data": 3, "params": 2}).search()
    assert (found.why, found.verdict, found.causes) == ("no effect", "nothing to explain", [])


def test_a_record_that_is_not_repeated_stops_it() -> None:
    world = World(lambda sides: 9.0 if moved(sides, "data:0") else 5.0, {"data": 3})
    found = world.search(recorded=(5.0, 9.1))
    assert (found.why, found.verdict, found.causes) == ("not repeated", "inconclusive", [])
    assert len(world.asked) == 4
    assert world.search(recorded=(5.0 + 1e-12, 9.0)).verdict == "cause"  # sums in another order
    assert world.search(recorded=(None, 9.0)).verdict == "cause"


def test_an_anchor_that_fails_stops_it() -> None:
    found = World(lambda sides: None if moved(sides, "data:0") else 5.0, {"data": 3}).search(recorded=(5.0, 9.0))
    assert (found.why, found.verdict) == ("did not run", "inconclusive")


class Noisy(World):
    """Every run comes out a little otherwise, by its number."""

    def measure(self, trials: Sequence[Trial]) -> list[float | None]:
        values = super().measure(trials)
        return [
            None if value is None else value + 0.1 * ((trial.recipe.repeat * 7 + len(trial.what)) % 5 - 2)
            for value, trial in zip(values, trials, strict=True)
        ]


def test_noise_below_the_effect_does_not_hide_the_cause() -> None:
    world = Noisy(lambda sides: 9.0 if moved(sides, "data:2") else 5.0, {"data": 6, "params": 3})
    found = world.search()
    assert (found.verdict, named(found)) == ("cause", {"data": ["data:2"]})
    assert 0.3 < found.noise < 0.5
    assert max(trial.recipe.repeat for trial in world.asked) == 4


def test_noise_above_the_effect_is_nothing_to_explain() -> None:
    found = Noisy(lambda sides: 5.3 if moved(sides, "data:2") else 5.0, {"data": 6}).search()
    assert (found.why, found.verdict) == ("no effect", "nothing to explain")


def test_noise_of_half_the_effect_is_inconclusive() -> None:
    found = Noisy(lambda sides: 5.6 if moved(sides, "data:2") else 5.0, {"data": 6}).search()
    assert (found.why, found.verdict) == ("noise", "inconclusive")


# --- many axes --------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(AXES), st.booleans())
def test_six_axes_with_and_without_time_for_all(axis: str, hurried: bool) -> None:
    world = World(lambda sides: 9.0 if moved(sides, f"{axis}:1") else 5.0, dict.fromkeys(AXES, 3), cost=2.0)
    found = world.search(budget=20.0 if hurried else 600.0)
    assert (found.verdict, named(found), found.estimated) == ("cause", {axis: [f"{axis}:1"]}, hurried)
    effect = next(effect for effect in found.effects if effect.axes == [axis])
    assert (effect.share, effect.alone, effect.taken_out) == (1.0, 4.0, 4.0)
    if hurried:
        assert effect.low == effect.high == 4.0
        assert len(world.asked) < 60


def test_an_interaction_among_six_axes_in_a_hurry() -> None:
    world = World(lambda sides: 9.0 if moved(sides, "data:0", "host:2") else 5.0, dict.fromkeys(AXES, 3), cost=30.0)
    found = world.search()
    assert (found.verdict, found.relation) == ("joint cause", "only together")
    assert named(found) == {"data": ["data:0"], "host": ["host:2"]}
