"""One level of a difference: the parts in which two recipes differ, and every recipe between them.

With no part it is the low recipe itself, with all parts the high one; so equal recipes have one digest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from lin.recipes import Recipe

T = TypeVar("T")


@dataclass(frozen=True)
class Split:
    """The parts by what the user calls them; `make` gives the low recipe with those parts of the high one.

    `ordered`: each part builds on the ones before it, so only the first ones, as many as you like, make sense.
    """

    parts: list[str]
    ordered: bool
    make: Callable[[frozenset[int]], Recipe]


def split_into(
    low: Recipe,
    high: Recipe,
    parts: Sequence[tuple[str, T]],
    build: Callable[[list[T]], Recipe],
    *,
    ordered: bool = False,
) -> Split:
    """The level of these parts: what each is called, and what `build` is given to take it over.

    `make` raises `ValueError` for parts that there are not, and for others than the first ones of an ordered split.
    """
    everything = frozenset(range(len(parts)))

    def make(chosen: frozenset[int]) -> Recipe:
        if not chosen <= everything or (ordered and chosen != frozenset(range(len(chosen)))):
            raise ValueError(f"there is no recipe with the parts {sorted(chosen)} of {len(parts)}")
        if not chosen:
            return low
        return high if chosen == everything else build([parts[number][1] for number in sorted(chosen)])

    return Split([label for label, _ in parts], ordered, make)


def changed(name: str, old: str | None, new: str | None) -> str:
    """A label: `scikit-learn 1.6.1 -> 1.7.2`, `unset` for what one of them has not."""
    return f"{name} {'unset' if old is None else old} -> {'unset' if new is None else new}"
