"""Which versions of a table were written by runs that had used a model: by their records, whatever the commits say.

A run used a model if it read a model version, or a file with the very bytes of one. What a re-run writes lies in a
scratch folder and is no version of the table. Where no model was ever registered, no run is looked at.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from lin.errors import StoreError
from lin.events import Register
from lin.ids import is_id
from lin.runs.query import RunInfo, read_run
from lin.store.runs import LOG
from lin.store.store import Store

if TYPE_CHECKING:
    from lin.runs.index import Index

_FOUND = """
SELECT id FROM linked
WHERE list_bool_or(list_transform(wrote, lambda thing: thing.type = 'table' AND thing.location = $1))
AND list_bool_or(list_transform(read, lambda thing: thing.type = 'model' OR list_contains($2, thing.digest)))
"""


def list_model_files(store: Store) -> dict[str, str]:
    """The sha256 of every registered model file, and the version that it is. Raises `StoreError`."""
    return {
        change.sha256: f"{change.model}@{change.version}"
        for event in store.events.read()
        if isinstance(change := event.change, Register)
    }


def find_model_users(
    store: Store, location: str, registered: Mapping[str, str], *, runs: Collection[str] | None = None
) -> dict[int, tuple[str, str]]:
    """The versions of a table that such runs wrote: each with the run and a model that it had used.

    Args:
        store: whose runs.
        location: of the table, as records have it.
        registered: see `list_model_files`.
        runs: only these are looked at; None: all.
    """
    chosen = (
        _choose(store, location, registered) if runs is None else _choose_by_bytes(store, runs, location, registered)
    )
    return {
        output.version: (run.id, model)
        for run in _read_each(store, chosen)
        if run.parent is None and (model := _used_model(run, registered)) is not None
        for output in run.table_outputs
        if output.location == location
    }


def _choose(store: Store, location: str, registered: Mapping[str, str]) -> list[str]:
    """The runs that may be such: the index says which, and the records of those that it lacks."""
    from lin.runs.catalog import ask_index

    asked = ask_index(store, lambda index, gone: _ask(index, gone, location, [*registered]))
    return [*(asked.answer or []), *_choose_by_bytes(store, asked.fresh, location, registered)]


def _ask(index: "Index", gone: list[str], location: str, digests: list[str]) -> list[str]:
    """The runs in the index that may be such."""
    wrote = "parent IS NULL AND len(wrote) > 0"
    connection = index.extract("id, read, wrote", into="linked", where=wrote, gone=gone)
    if connection is None:
        return []
    return [run for (run,) in connection.execute(_FOUND, [location, digests]).fetchall()]


def _choose_by_bytes(
    store: Store, runs: Collection[str], location: str, registered: Mapping[str, str]
) -> Iterator[str]:
    """Those of the runs that may be such, by the bytes of their records."""
    place = b'"location":' + msgspec.json.encode(location)
    marks = [b'"type":"model"', *(digest.encode() for digest in registered)]
    for run in runs:
        if not is_id(run):
            continue
        content = store.runs.file(run, "run.json") or store.runs.file(run, LOG) or b""
        if place in content and any(mark in content for mark in marks):
            yield run


def _read_each(store: Store, runs: Iterable[str]) -> Iterator[RunInfo]:
    for run in sorted(runs):
        try:
            yield read_run(store, run)
        except StoreError:
            continue  # lin fsck tells of it; what it wrote is still in the table's log


def _used_model(run: RunInfo, registered: Mapping[str, str]) -> str | None:
    """A model version that the run read, or whose file it did."""
    named = [f"{model.model}@{model.version}" for model in run.model_inputs]
    return next(
        iter([*named, *(registered[file.sha256] for file in run.file_inputs if file.sha256 in registered)]), None
    )
