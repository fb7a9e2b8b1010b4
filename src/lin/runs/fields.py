"""Runs as a table of the fields that were asked for: for `--columns`, CSV, and pictures of runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lin.runs.matching import value_of
from lin.runs.query import RunFields, RunInfo
from lin.runs.where import Field, Kind, format_field, parse_field

_FIRST = ("id", "name", "kind", "status", "experiment", "sweep", "started", "seconds")


@dataclass(frozen=True)
class FieldTable:
    """A column for each field and a row for each run; cells are None, text, numbers, times, or lists and maps."""

    columns: list[str]
    rows: list[list[Any]]

    @property
    def records(self) -> list[dict[str, Any]]:
        """A map for each run, as `--json` shows it."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    @property
    def numeric(self) -> list[str]:
        """The columns with nothing but numbers."""
        columns = zip(*self.rows, strict=True)
        return [name for name, cells in zip(self.columns, columns, strict=False) if all(map(_is_number, cells))]


def parse_fields(names: Sequence[str]) -> list[Field]:
    """The fields of these names. Raises `UsageError`."""
    return [parse_field(name) for name in names]


def tabulate(runs: Sequence[RunInfo], fields: Sequence[Field] = ()) -> FieldTable:
    """The fields of the runs; without any, what a run is, and all params, metrics, tags and inputs that they have."""
    chosen = list(fields) or _all_fields(runs)
    rows = [[_cell(field, run) for field in chosen] for run in map(RunFields, runs)]
    return FieldTable([format_field(field) for field in chosen], rows)


def _all_fields(runs: Sequence[RunInfo]) -> list[Field]:
    views = [RunFields(run) for run in runs]
    found: list[Field] = [Field("attributes", name) for name in _FIRST]
    kinds: tuple[Kind, ...] = ("inputs", "params", "metrics", "tags")
    for kind in kinds:
        keys = dict.fromkeys(key for view in views for key in getattr(view, kind))
        found += [Field(kind, key) for key in keys]
    return found


def _cell(field: Field, run: RunFields) -> Any:
    if field == Field("attributes", "started"):
        return run.run.started
    return value_of(field, run)


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool | datetime))
