"""What an impact tells beside its graph: runs, model versions, predictions and table versions, each by its name."""

from collections.abc import Collection
from datetime import UTC, datetime

import msgspec

from lin.lineage.descent import Descent
from lin.lineage.graph import Graph
from lin.lineage.nodes import name_live
from lin.lineage.things import ModelThing, RunThing, TableThing, Thing
from lin.lineage.walk import Walk
from lin.records import FileRef, Kind, TableRef
from lin.runs.links import RunRow, RunSet


class AffectedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that read the thing, or something that was made from it. `models` are the versions that came of it."""

    id: str
    name: str
    kind: Kind
    status: str
    started: datetime
    experiment: str | None
    sweep: str | None
    parent: str | None
    deleted: bool
    models: list[str]


class AlikeRuns(msgspec.Struct, frozen=True, kw_only=True):
    """Runs that read the same and of which nothing came: what is the same of them, and their ids, oldest first."""

    kind: Kind
    status: str
    sweep: str | None
    experiment: str | None
    ids: list[str]
    deleted: list[str]


class AffectedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model version, and the stages and aliases by which it can be meant today."""

    reference: str
    stage: str
    live: list[str]
    run: str


class AffectedPredictions(msgspec.Struct, frozen=True, kw_only=True):
    """A run that predicted, with which of the models, and what it wrote; `rows` is None where it does not tell."""

    run: str
    models: list[str]
    status: str
    started: datetime
    column: str | None
    rows: int | None
    tables: list[str]
    files: list[str]


class AffectedTable(msgspec.Struct, frozen=True, kw_only=True):
    """A table version that was made from the thing, or is the same data; `run` wrote it, where that is recorded."""

    reference: str
    location: str
    how: str
    run: str | None


class Impact(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a thing. The graph may show runs that are alike as one; the lists name each.

    `affected` is how many runs there are, in `runs` and in `alike`: of the latter, nothing came. `live` are those of
    the models that are in a stage such as production now, or have an alias.
    """

    reference: str
    affected: int
    runs: list[AffectedRun]
    alike: list[AlikeRuns]
    models: list[AffectedModel]
    live: list[AffectedModel]
    predictions: list[AffectedPredictions]
    tables: list[AffectedTable]
    files: list[str]
    graph: Graph


def report(descent: Descent, walked: Walk, graph: Graph, *, reference: str, deleted: Collection[str]) -> Impact:
    """The graph of a walk down and the lists beside it; of runs that are `deleted` it is said."""
    rows = _find_rows(descent, walked.things[0])
    models = _list_models(descent, walked)
    wrote = [(row.id, each) for row in rows for each in descent.wrote.get(row.id, [])]
    return Impact(
        reference=reference,
        affected=len(rows) + sum(len(each.ids) for each in descent.alike),
        runs=[_tell_run(descent, row, is_deleted=row.id in deleted) for row in rows],
        alike=[_tell_alike(each, deleted) for each in descent.alike],
        models=models,
        live=[model for model in models if model.live],
        predictions=[_tell_predictions(descent, r) for r in rows if r.kind == "predict" and descent.used[r.id]],
        tables=_list_tables(walked),
        files=[*dict.fromkeys(each.path for _, each in wrote if isinstance(each, FileRef))],
        graph=graph,
    )


def _find_rows(descent: Descent, root: Thing) -> list[RunRow]:
    """The runs that were reached, alone or with others, oldest first, but not the one that was asked for."""
    reached, folded = descent.reached - {root}, descent.folded
    rows = [row for run, row in descent.rows.items() if (folded.get(run) or RunThing(run)) in reached]
    return sorted(rows)


def _tell_run(descent: Descent, row: RunRow, *, is_deleted: bool) -> AffectedRun:
    return AffectedRun(
        id=row.id,
        name=row.name,
        kind=row.kind,
        status=row.status,
        started=row.started.replace(tzinfo=UTC),
        experiment=row.experiment,
        sweep=row.sweep,
        parent=row.parent,
        deleted=is_deleted,
        models=[version.reference for version in descent.registered.get(row.id, [])],
    )


def _tell_alike(runs: RunSet, deleted: Collection[str]) -> AlikeRuns:
    return AlikeRuns(
        kind=runs.kind,
        status=runs.status,
        sweep=runs.sweep,
        experiment=runs.experiment,
        ids=runs.ids,
        deleted=[run for run in runs.ids if run in deleted],
    )


def _list_models(descent: Descent, walked: Walk) -> list[AffectedModel]:
    things = [thing for thing in walked.things[1:] if isinstance(thing, ModelThing)]
    found = sorted((thing.model, thing.version) for thing in things)
    versions = [descent.registry[name].versions[number - 1] for name, number in found]
    return [
        AffectedModel(reference=each.reference, stage=each.stage, live=name_live(each), run=each.run)
        for each in versions
    ]


def _tell_predictions(descent: Descent, row: RunRow) -> AffectedPredictions:
    wrote = descent.wrote.get(row.id, [])
    tables = [descent.versions.thing(each) for each in wrote if isinstance(each, TableRef)]
    return AffectedPredictions(
        run=row.id,
        models=sorted(descent.used[row.id]),
        status=row.status,
        started=row.started.replace(tzinfo=UTC),
        column=row.filled,
        rows=row.rows,
        tables=[f"{each.name}@{each.version}" for each in tables],
        files=[each.path for each in wrote if isinstance(each, FileRef)],
    )


def _list_tables(walked: Walk) -> list[AffectedTable]:
    """Each table version, as it was reached first."""
    entered = {step.thing: step for step in reversed(walked.steps)}
    return [
        AffectedTable(
            reference=f"{thing.name}@{thing.version}",
            location=thing.location,
            how=entered[thing].how,
            run=origin.run if isinstance(origin := entered[thing].origin, RunThing) else None,
        )
        for thing in walked.things[1:]
        if isinstance(thing, TableThing)
    ]
