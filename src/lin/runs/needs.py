"""Which blobs the records of a run name: its source, environment, pins, models and artifacts.

A `FileRef` tells what a file was, but keeps no content, so it names no blob. What a source snapshot names in turn is
told by `lin.runs.source.read_tree`.
"""

from collections.abc import Iterable, Iterator

from lin.records import (
    ArtifactKept,
    Input,
    InputRead,
    ModelRef,
    Output,
    OutputWritten,
    Sealed,
    Start,
    TableRef,
)
from lin.runs.source import read_tree
from lin.store.blobs import Blobs


def named_by_start(start: Start) -> Iterator[str]:
    """What `start.json` names, its source snapshot among it, as sha256 in hex."""
    yield from _named_by_references(start.inputs)
    if start.environment is not None:
        yield start.environment
    if start.source is not None:
        yield start.source.tree


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
    if start.source is not None and start.source.tree in fresh:
        blobs.hold(file.sha256 for file in read_tree(blobs, start.source.tree).files)


def _named_by_references(references: Iterable[Input | Output]) -> Iterator[str]:
    for reference in references:
        match reference:
            case TableRef(pin=pin):
                yield pin
            case ModelRef(sha256=sha256):
                yield sha256
