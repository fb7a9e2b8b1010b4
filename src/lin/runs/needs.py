"""Which blobs the records of a run name: its source, environment, recipe, pins, models and artifacts.

A `FileRef` tells what a file was, but keeps no content, so it names no blob. Some of these blobs name others in turn:
recipes, environments (the code of editable packages), and source snapshots.
"""

from collections.abc import Iterable, Iterator
from typing import TypeGuard

from lin.recipes import Mix, Recipe
from lin.records import (
    ArtifactKept,
    Environment,
    Input,
    InputRead,
    ModelRef,
    Output,
    OutputWritten,
    Sealed,
    Start,
    TableRef,
    decode,
)
from lin.runs.source import read_tree
from lin.store.blobs import Blobs


def named_by_start(start: Start) -> Iterator[str]:
    """What `start.json` itself names, as sha256 in hex."""
    yield from _named_by_references(start.inputs)
    source = None if start.source is None else start.source.tree
    yield from (blob for blob in (start.environment, source, start.recipe) if blob is not None)


def named_by_recipe(recipe: Recipe) -> Iterator[str]:
    """What a recipe itself names: of rows that are mixed, the pins of both sides."""
    for table in recipe.tables:
        yield from (table.base.pin, table.other.pin) if isinstance(table, Mix) else (table.pin,)
    yield from _named_by_references(recipe.models)
    yield from (blob for blob in (recipe.source, recipe.environment, recipe.golden) if blob is not None)


class Reader:
    """Follows what a run's start names to the last blob, each that names others read once.

    Raises:
        StoreError: one of them is missing or damaged, so that what it names is not known.
    """

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._known: set[str] = set()

    def all_named(self, start: Start) -> Iterator[str]:
        """What `start.json` names, and what that names in turn, but for what was told before."""
        yield from named_by_start(start)
        yield from self._of_source(None if start.source is None else start.source.tree)
        yield from self._of_environment(start.environment)
        if self._is_new(start.recipe):
            recipe = decode(self._blobs.read(start.recipe), Recipe, where=f"recipe {start.recipe[:12]}")
            yield from named_by_recipe(recipe)
            yield from self._of_source(recipe.source)
            yield from self._of_environment(recipe.environment)

    def _of_environment(self, sha256: str | None) -> Iterator[str]:
        if self._is_new(sha256):
            environment = decode(self._blobs.read(sha256), Environment, where=f"environment {sha256[:12]}")
            for package in environment.packages:
                if package.source is not None:
                    yield package.source
                    yield from self._of_source(package.source)

    def _of_source(self, sha256: str | None) -> Iterator[str]:
        if self._is_new(sha256):
            yield from (file.sha256 for file in read_tree(self._blobs, sha256).files)

    def _is_new(self, sha256: str | None) -> TypeGuard[str]:
        """Whether this is a blob that was not read before."""
        new = sha256 is not None and sha256 not in self._known
        if sha256 is not None:
            self._known.add(sha256)
        return new


def named_by_sealed(sealed: Sealed) -> Iterator[str]:
    """What `run.json` names."""
    yield from _named_by_references(sealed.inputs)
    yield from _named_by_references(sealed.outputs)
    yield from (artifact.sha256 for artifact in sealed.artifacts)


def named_by_lines(lines: Iterable[object]) -> Iterator[str]:
    """What the lines of a `log.jsonl` name, also what a later line replaced. Lines of other kinds are passed over."""
    for line in lines:
        match line:
            case ArtifactKept(artifact=artifact):
                yield artifact.sha256
            case InputRead(input=reference) | OutputWritten(output=reference):
                yield from _named_by_references([reference])


def hold_named(blobs: Blobs, start: Start) -> None:
    """Make sure of all that `start` names before it is written: whoever captured it may be another process, long gone.

    Raises:
        ObjectMissingError: some of it was collected, or lost.
    """
    fresh = blobs.hold(named_by_start(start))
    if fresh & {start.environment, start.recipe, start.source and start.source.tree}:
        blobs.hold(Reader(blobs).all_named(start))


def _named_by_references(references: Iterable[Input | Output]) -> Iterator[str]:
    for reference in references:
        match reference:
            case TableRef(pin=pin):
                yield pin
            case ModelRef(sha256=sha256):
                yield sha256
