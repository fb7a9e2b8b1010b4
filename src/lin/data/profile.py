"""What one looks at before training: how each column is filled and distributed, and what goes with the target.

Counts, extremes, means and deviations are of all rows, in one pass of DuckDB in constant memory. Distributions
and associations are of a sample when the table is large: the same rows each time, spread evenly over the table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from lin.data.association import correlation_ratio, cramers_v, pearson, spearman
from lin.data.distribution import (
    Frequency,
    Histogram,
    Quantiles,
    find_frequent,
    find_quantiles,
    make_histogram,
)
from lin.data.log import require_readable
from lin.data.measure import Facts, measure_columns
from lin.data.sample import Codes, Kind, Sample, encode_whole, kind_of, read_sample
from lin.data.schema import type_name
from lin.data.sql import connect
from lin.data.tables import Table
from lin.errors import UsageError, nearest

SAMPLE = 100_000
"""The rows that distributions and associations are computed from, where the table has more."""
MOST_CELLS = 10_000_000
"""A table of very many columns has a smaller sample, so that no more cells are in memory."""
MOST_CLASSES = 10
"""A target of whole numbers with at most so many different values is taken for classes, and said to be."""
MOST_IN_MATRIX = 30

_WHOLE = {"byte", "short", "integer", "long"}

Measure = Literal["pearson", "correlation ratio", "cramers v"]


class ColumnProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One column. What does not apply to its kind, or is not defined for its values, is None or empty.

    Of all rows: `nulls`, `nans`, `infinities`, `missing` (the share that is null or NaN), `distinct` (an
    estimate within a few per cent unless `distinct_exact`), `min`, `max`, and, to ten digits, `mean` and `std`;
    these four leave out what is not finite. Of the sample: `quantiles`, `histogram`, `top`, and `others`, the
    rows with a value that is not in `top`.
    """

    name: str
    type: str
    kind: Kind
    nulls: int
    nans: int
    infinities: int
    missing: float
    distinct: int | None
    distinct_exact: bool
    min: int | float | str | None
    max: int | float | str | None
    mean: float | None
    std: float | None
    quantiles: Quantiles | None
    histogram: Histogram | None
    top: list[Frequency]
    others: int


class Association(msgspec.Struct, frozen=True, kw_only=True):
    """How a column goes with the target, over the `rows` of the sample that have both.

    `value` is None where the measure is not defined. `spearman` stands beside Pearson's coefficient only.
    """

    column: str
    measure: Measure
    value: float | None
    spearman: float | None
    rows: int


class TargetProfile(msgspec.Struct, frozen=True, kw_only=True):
    """The target: how many of all rows lack it, and its classes in the sample, None where it is a quantity."""

    column: str
    missing: int
    classes: list[str] | None


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """Pearson's coefficient of each pair of columns that hold numbers."""

    columns: list[str]
    values: list[list[float | None]]


class TableProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One version. `associations` has the strongest first; without a target there may be a `matrix` instead."""

    table: str
    version: int
    rows: int
    sampled: int
    columns: list[ColumnProfile]
    target: TargetProfile | None
    associations: list[Association]
    matrix: Matrix | None


@dataclass(frozen=True)
class Look:
    """A profile, with the sample of rows behind it, and the target's classes in these rows."""

    profile: TableProfile
    sample: Sample
    classes: Codes | None


def profile_version(
    table: Table,
    version: int | None = None,
    *,
    target: str | None = None,
    columns: Sequence[str] = (),
    sample: int | None = None,
) -> Look:
    """Look at one version (default: the newest).

    Args:
        table: the table.
        version: its version.
        target: the column that is to be predicted.
        columns: only these columns, and the target (default: all).
        sample: the most rows to compute distributions and associations from (default: `SAMPLE`, and fewer where
            there are more than a hundred columns).

    Raises:
        NotFoundError: no such version. OutsideError: a file is missing, damaged or refused, or the version
            needs a feature that lin lacks. UsageError: no such column, or one that cannot be a target.
    """
    snapshot = table.log.snapshot(version)
    require_readable(table.log, snapshot)
    fields = _chosen_fields(snapshot.metadata.schema["fields"], target, columns)
    most = min(SAMPLE, MOST_CELLS // max(1, len(fields))) if sample is None else sample
    if most < 1:
        raise UsageError(f"a sample of {most} rows shows nothing", hint="--sample 100000")
    with connect() as connection:
        rows, facts = measure_columns(connection, table, snapshot, fields, most=most)
        drawn = read_sample(connection, table, snapshot, fields, rows=rows, most=most)
    profiles = [
        _profile_column(field, rows, fact, drawn, exact=rows <= most) for field, fact in zip(fields, facts, strict=True)
    ]
    classes = _classes(next((each for each in profiles if each.name == target), None), drawn)
    # a key goes with nothing, and a fit leaves it out too
    features = [each for each in profiles if each.name not in table.key or each.name in columns]
    profile = TableProfile(
        table=table.name,
        version=snapshot.version,
        rows=rows,
        sampled=drawn.rows,
        columns=profiles,
        target=_profile_target(target, profiles, classes),
        associations=_associate(features, target, drawn, classes) if target else [],
        matrix=None if target else _correlate(features, drawn),
    )
    return Look(profile, drawn, classes)


def _chosen_fields(fields: list[dict[str, Any]], target: str | None, columns: Sequence[str]) -> list[dict[str, Any]]:
    """The fields to look at, in the table's order."""
    known = {field["name"]: field for field in fields}
    for name in [*columns, *([target] if target is not None else [])]:
        if name not in known:
            hint = nearest(name, list(known), instead=f"the columns are: {', '.join(known)}")
            raise UsageError(f"the table has no column '{name}'", hint=hint)
    if target is not None and kind_of(known[target]["type"]) == "other":
        kind = type_name(known[target]["type"])
        raise UsageError(f"column '{target}' cannot be a target: it is of type {kind}")
    return [field for field in fields if not columns or field["name"] in {*columns, target}]


# --- the sample -------------------------------------------------------------------------------------------------------


def _profile_column(field: dict[str, Any], rows: int, facts: Facts, sample: Sample, *, exact: bool) -> ColumnProfile:
    import numpy as np

    name, kind = field["name"], kind_of(field["type"])
    nulls = rows - facts.known
    numbers = sample.numbers[name] if kind in {"number", "time"} else np.empty(0)
    finite = numbers[np.isfinite(numbers)]
    codes = sample.codes.get(name)
    top = find_frequent(codes.names, codes.counts) if codes else []
    return ColumnProfile(
        name=name,
        type=type_name(field["type"]),
        kind=kind,
        nulls=nulls,
        nans=facts.nans,
        infinities=facts.infinities,
        missing=(nulls + facts.nans) / rows if rows else 0.0,
        distinct=facts.distinct,
        distinct_exact=exact and facts.distinct is not None,
        min=facts.min,
        max=facts.max,
        mean=facts.mean,
        std=facts.std,
        quantiles=find_quantiles(finite) if kind == "number" else None,
        histogram=make_histogram(finite, times=kind == "time"),
        top=top,
        others=sum(codes.counts) - sum(each.rows for each in top) if codes else 0,
    )


# --- the target -------------------------------------------------------------------------------------------------------


def _classes(target: ColumnProfile | None, sample: Sample) -> Codes | None:
    """The target's classes: texts and booleans are some, and so are a few whole numbers."""
    if target is None or target.kind == "time":
        return None
    if target.kind == "category":
        return sample.codes[target.name]
    return encode_whole(sample.numbers[target.name], MOST_CLASSES) if target.type in _WHOLE else None


def _profile_target(target: str | None, profiles: list[ColumnProfile], classes: Codes | None) -> TargetProfile | None:
    found = next((each for each in profiles if each.name == target), None)
    if found is None:
        return None
    return TargetProfile(
        column=found.name, missing=found.nulls + found.nans, classes=None if classes is None else classes.names
    )


def _associate(profiles: list[ColumnProfile], target: str, sample: Sample, classes: Codes | None) -> list[Association]:
    """Each column with the target, the strongest first, then in the table's order."""
    found = [
        _associate_column(column, target, sample, classes)
        for column in profiles
        if column.name != target and column.kind != "other"
    ]
    return sorted(found, key=lambda each: -1.0 if each.value is None else abs(each.value), reverse=True)


def _associate_column(column: ColumnProfile, target: str, sample: Sample, classes: Codes | None) -> Association:
    measure: Measure
    ranks = None
    if classes is not None and column.kind == "category":
        measure, (value, rows) = "cramers v", cramers_v(sample.codes[column.name].codes, classes.codes)
    elif classes is not None:
        measure, (value, rows) = "correlation ratio", correlation_ratio(classes.codes, sample.numbers[column.name])
    elif column.name in sample.numbers:
        one, other = sample.numbers[column.name], sample.numbers[target]
        measure, (value, rows), ranks = "pearson", pearson(one, other), spearman(one, other)
    else:
        codes = sample.codes[column.name].codes
        measure, (value, rows) = "correlation ratio", correlation_ratio(codes, sample.numbers[target])
    return Association(column=column.name, measure=measure, value=value, spearman=ranks, rows=rows)


def _correlate(profiles: list[ColumnProfile], sample: Sample) -> Matrix | None:
    names = [column.name for column in profiles if column.kind == "number"]
    if not 1 < len(names) <= MOST_IN_MATRIX:
        return None
    values: list[list[float | None]] = [[None] * len(names) for _ in names]
    for row, name in enumerate(names):
        for column, other in enumerate(names[: row + 1]):
            value = pearson(sample.numbers[name], sample.numbers[other])[0]
            values[row][column] = values[column][row] = value
    return Matrix(columns=names, values=values)
