"""Sharing an effect fairly between the things that together made it: Shapley values and interactions. Pure.

A game gives a number to each set of players, who are numbered from 0. Shares add up to the game's whole effect,
players that do the same have the same share, and one that never does anything has none (Shapley, 1953).
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import factorial, fsum, sqrt

Players = frozenset[int]
Game = Mapping[Players, float]

ERRORS_WIDE = 2.0
"""An interval reaches so many standard errors to each side: about 95 % of such intervals hold the true value."""


@dataclass(frozen=True)
class Estimate:
    """A share that was estimated, and an interval for it; None where there were too few samples to tell."""

    value: float
    low: float | None = None
    high: float | None = None


def shapley_values(game: Game, players: int) -> list[float]:
    """The share of each player, from the number of every set of them."""
    return [
        _average(
            players,
            [(len(others), game[others | {player}] - game[others]) for others in subsets(players, without={player})],
        )
        for player in range(players)
    ]


def interactions(game: Game, players: int) -> dict[tuple[int, int], float]:
    """What each pair does together beyond what its two do apart: the Shapley interaction index.

    Source: Grabisch and Roubens, 1999. Of two players it is v(12) - v(1) - v(2) + v().
    """
    return {
        (one, two): _average(
            players - 1,
            [
                (len(others), game[others | {one, two}] - game[others | {one}] - game[others | {two}] + game[others])
                for others in subsets(players, without={one, two})
            ],
        )
        for one, two in combinations(range(players), 2)
    }


def subsets(players: int, *, without: set[int] | None = None) -> list[Players]:
    """All sets of players, small ones first, but those with one of `without`."""
    rest = [player for player in range(players) if player not in (without or set())]
    return [frozenset(chosen) for size in range(len(rest) + 1) for chosen in combinations(rest, size)]


def draw_orders(players: int, pairs: int, seed: int) -> list[tuple[int, ...]]:
    """Orders in which the players come, each followed by its reverse: what one is early in, the other is late in."""
    draw = random.Random(seed)  # noqa: S311  no secret: the same seed gives the same orders
    orders: list[tuple[int, ...]] = []
    for _ in range(pairs):
        order = tuple(draw.sample(range(players), players))
        orders += [order, order[::-1]]
    return orders


def prefixes(order: Sequence[int]) -> list[Players]:
    """The sets of players there are while they come in that order, from none to all."""
    return [frozenset(order[:size]) for size in range(len(order) + 1)]


def estimate_shapley(
    value: Callable[[Players], float | None], players: int, orders: Sequence[tuple[int, ...]]
) -> list[Estimate] | None:
    """Shares from pairs of orders, as `draw_orders` has them; a pair in which a set has no value is passed over.

    Returns:
        the estimates, or None where no pair is left.
    """
    samples = [
        [(first + second) / 2 for first, second in zip(*pair, strict=True)]
        for one, two in zip(orders[::2], orders[1::2], strict=True)
        if all(pair := [_contributions(value, order) or [] for order in (one, two)])
    ]
    return [_estimate([sample[player] for sample in samples]) for player in range(players)] if samples else None


def _contributions(value: Callable[[Players], float | None], order: Sequence[int]) -> list[float] | None:
    """What each player adds as they come, by player."""
    values = [value(players) for players in prefixes(order)]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    steps = [after - before for before, after in pairwise(known)]
    return [steps[order.index(player)] for player in range(len(order))]


def _estimate(sample: Sequence[float]) -> Estimate:
    mean = fsum(sample) / len(sample)
    if len(sample) == 1:
        return Estimate(mean)
    error = sqrt(sum((value - mean) ** 2 for value in sample) / (len(sample) - 1) / len(sample))
    return Estimate(mean, mean - ERRORS_WIDE * error, mean + ERRORS_WIDE * error)


def _average(players: int, gains: Sequence[tuple[int, float]]) -> float:
    """The mean over all orders of the players, of what one gains that comes after so many others."""
    orders = (factorial(before) * factorial(players - before - 1) * gain for before, gain in gains)
    return fsum(orders) / factorial(players)
