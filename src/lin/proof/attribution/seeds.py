"""Other seeds for two recipes whose seeds differ: how far chance alone moves the outcome. Pure but for the lab."""

import re

import msgspec

from lin.numbers import Real
from lin.proof.attribution.anchors import Lab, Trial
from lin.proof.attribution.answer import SeedSpread
from lin.recipes import Recipe
from lin.records import Fit, Param

FIRST_SEED = 101
_NUMBER = re.compile(r"\d+\Z")


def spread_seeds(sides: "tuple[Recipe, Recipe]", other: "tuple[Recipe, Recipe]", count: int, lab: Lab) -> SeedSpread:
    """Measure both sides with `count` more seeds each.

    Args:
        sides: A and B.
        other: the same two, each with the seed of the other: where they differ is where the seed is.
        count: how many seeds.
        lab: what runs them.
    """
    seeds = list(range(FIRST_SEED, FIRST_SEED + count))
    trials = [
        Trial(reseed(side, opposite, seed), f"{what}, seed {seed}")
        for what, side, opposite in zip("AB", sides, other, strict=True)
        for seed in seeds
    ]
    values = [None if value is None else Real(value) for value in lab.measure(trials)]
    return SeedSpread(seeds=seeds, a=values[:count], b=values[count:], spread=Real(0), others=None)


def reseed(recipe: Recipe, other: Recipe, seed: int) -> Recipe:
    """The recipe with that seed wherever `other`, which differs from it in the seed alone, has another."""
    variables = {
        name: str(seed) if other.variables.get(name) != value else value for name, value in recipe.variables.items()
    }
    fit = recipe.fit
    if fit is not None and other.fit is not None:
        fit = _reseed_fit(fit, other.fit, seed)
    return msgspec.structs.replace(
        recipe,
        fit=fit,
        params=_reseed_params(recipe.params, other.params, seed),
        variables=variables,
        command=_reseed_words(recipe.command, other.command, seed),
    )


def _reseed_fit(fit: Fit, other: Fit, seed: int) -> Fit:
    return msgspec.structs.replace(
        fit,
        seed=seed if fit.seed != other.seed else fit.seed,
        params=_reseed_params(fit.params, other.params, seed),
    )


def _reseed_params(params: dict[str, Param], other: dict[str, Param], seed: int) -> dict[str, Param]:
    return {key: seed if key in other and other[key] != value else value for key, value in params.items()}


def _reseed_words(words: list[str], other: list[str], seed: int) -> list[str]:
    if len(words) != len(other):
        return words
    return [
        _NUMBER.sub(str(seed), word) if word != opposite else word for word, opposite in zip(words, other, strict=True)
    ]
