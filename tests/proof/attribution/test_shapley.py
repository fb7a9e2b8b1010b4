"""Shares of an effect: the axioms that make them Shapley's, and estimates that agree with them."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.proof.attribution.shapley import (
    Game,
    draw_orders,
    estimate_shapley,
    interactions,
    prefixes,
    shapley_values,
    subsets,
)

NUMBERS = st.floats(-100, 100, allow_nan=False).map(lambda value: round(value, 3))


@st.composite
def games(draw: Callable[..., float], players: int | None = None) -> tuple[int, Game]:
    count = draw(st.integers(1, 5)) if players is None else players
    return count, {chosen: draw(NUMBERS) for chosen in subsets(int(count))}


def test_a_game_of_two_by_hand() -> None:
    game = {frozenset(): 10.0, frozenset({0}): 13.0, frozenset({1}): 14.0, frozenset({0, 1}): 20.0}
    assert shapley_values(game, 2) == [4.5, 5.5]
    assert interactions(game, 2) == {(0, 1): 3.0}


def test_gloves() -> None:
    """One left glove and two right ones: only a pair is worth something (a known example, 2/3 and 1/6 each)."""
    game = {chosen: float(0 in chosen and len(chosen) > 1) for chosen in subsets(3)}
    assert shapley_values(game, 3) == pytest.approx([2 / 3, 1 / 6, 1 / 6])


@settings(max_examples=50, deadline=None)
@given(games())
def test_shares_add_up_to_the_effect(drawn: tuple[int, Game]) -> None:
    players, game = drawn
    effect = game[frozenset(range(players))] - game[frozenset()]
    assert sum(shapley_values(game, players)) == pytest.approx(effect, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(games(4), NUMBERS)
def test_one_that_always_adds_the_same_gets_just_that(drawn: tuple[int, Game], added: float) -> None:
    _, game = drawn
    more = game | {chosen | {4}: value + added for chosen, value in game.items()}
    shares = shapley_values(more, 5)
    assert shares[4] == pytest.approx(added, abs=1e-9)
    assert shares[:4] == pytest.approx(shapley_values(game, 4), abs=1e-9)
    assert all(abs(interactions(more, 5)[one, 4]) < 1e-9 for one in range(4))


@settings(max_examples=50, deadline=None)
@given(games(4))
def test_names_do_not_matter(drawn: tuple[int, Game]) -> None:
    _, game = drawn
    swapped = {frozenset({0: 1, 1: 0}.get(one, one) for one in chosen): value for chosen, value in game.items()}
    shares = shapley_values(game, 4)
    assert shapley_values(swapped, 4) == pytest.approx([shares[1], shares[0], *shares[2:]], abs=1e-9)


def test_orders_come_with_their_reverse_and_again() -> None:
    orders = draw_orders(5, 6, seed=3)
    assert len(orders) == 12
    assert all(second == first[::-1] for first, second in zip(orders[::2], orders[1::2], strict=True))
    assert orders == draw_orders(5, 6, seed=3)
    assert orders != draw_orders(5, 6, seed=4)
    assert prefixes((2, 0)) == [frozenset(), frozenset({2}), frozenset({0, 2})]


@settings(max_examples=25, deadline=None)
@given(games(2), games(2))
def test_pairs_of_orders_are_exact_where_only_pairs_interact(one: tuple[int, Game], two: tuple[int, Game]) -> None:
    """An order and its reverse balance out what two players do together: a reason to draw them so."""
    first, second = one[1], two[1]
    game = {
        chosen: first[chosen & {0, 1}] + second[frozenset(player - 2 for player in chosen - {0, 1})]
        for chosen in subsets(4)
    }
    estimates = estimate_shapley(game.get, 4, draw_orders(4, 3, seed=1))
    assert estimates is not None
    assert [share.value for share in estimates] == pytest.approx(shapley_values(game, 4), abs=1e-9)


def test_the_interval_holds_the_true_share() -> None:
    game = {chosen: float(len(chosen) ** 3 + 7 * (chosen == {0, 2, 3})) for chosen in subsets(6)}
    estimates = estimate_shapley(game.get, 6, draw_orders(6, 40, seed=1))
    assert estimates is not None
    for share, true in zip(estimates, shapley_values(game, 6), strict=True):
        assert share.low is not None
        assert share.high is not None
        assert share.low - 1e-9 <= true <= share.high + 1e-9


def test_orders_through_a_set_without_a_value_are_passed_over() -> None:
    game: dict[frozenset[int], float | None] = {chosen: float(len(chosen)) for chosen in subsets(3)}
    game[frozenset({0})] = None
    orders = [(0, 1, 2), (2, 1, 0), (1, 0, 2), (2, 0, 1)]
    estimates = estimate_shapley(game.get, 3, orders)
    assert estimates is not None
    assert [(share.value, share.low) for share in estimates] == [(1.0, None)] * 3  # of one pair: no interval
    assert estimate_shapley(game.get, 3, orders[:2]) is None
