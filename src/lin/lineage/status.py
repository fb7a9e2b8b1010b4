"""How everything stands: tables and who moved them, models in their stages, runs, and what of it needs attention.

Read from records, events and the heads of the tables' logs; no data file is opened. What cannot be read is told, and
the rest is shown all the same. What is found is as true as the records: nothing is re-run, and no gate is judged anew.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache, cached_property

import msgspec

from lin.data.history import describe_commit
from lin.data.tables import Table, open_table
from lin.errors import LinError, StoreError
from lin.events import Event, Gate, Verdict
from lin.lineage.activity import RunStatus, read_activity
from lin.models.fold import Model, ModelVersion, fold_events
from lin.models.registry import SHARED_STAGES, SignedReceipt, read_proofs
from lin.project import Project
from lin.records import PredictedInput, TableRef
from lin.runs.feedback import UNKNOWN_TAG, tell_recorded
from lin.runs.query import RunInfo, read_run

DAY = timedelta(days=1)
"""As far back it is told what failed, what was forced and what was refused."""
PRODUCTION = "production"


class TableStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A declared table: its newest version, and what the commit of it says; `problem` says why it cannot be read."""

    name: str
    version: int | None = None
    time: datetime | None = None
    operation: str | None = None
    user: str | None = None
    run: str | None = None
    model: str | None = None
    restored: int | None = None
    problem: str | None = None


class DataStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A table version that a model was trained on, against its newest version `head`.

    `changed`: the newest version has other files or another schema than what was pinned; None where that cannot be
    found out, for which `problem` is the reason.
    """

    table: str
    read: int
    head: int | None
    changed: bool | None
    problem: str | None = None


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """The newest re-run of a run in which nothing was changed on purpose, and how it came out against it.

    Where a run was not re-run itself but is a re-run that came out as it should, `against` is the run that it re-ran.
    """

    verdict: Verdict
    time: datetime
    actor: str
    against: str


class ModelStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A model version in a stage: since when and by whom, and what can be said for and against it.

    `forced` names the gates that it did not pass. `feedback` is what its run's record tells of predictions in its data;
    `feedback_unknown` why it does not. `golden`: golden predictions are kept. `unsafe`: loading it runs code.
    """

    model: str
    version: int
    stage: str
    since: datetime
    by: str
    reason: str | None
    forced: list[Gate]
    run: str
    proof: Proof | None
    data: list[DataStatus]
    feedback: list[PredictedInput]
    feedback_unknown: str | None
    golden: bool
    unsafe: bool
    problem: str | None

    @property
    def reference(self) -> str:
        """As it is written: `boston@3`."""
        return f"{self.model}@{self.version}"


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """A promotion that was forced past its gates, or a change of a model that was refused."""

    model: str
    action: str
    why: str | None
    time: datetime
    actor: str
    forced: bool


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How everything stands. `attention` has a sentence for each thing that somebody should look at.

    `unstaged` are models of which no version is in a stage. `running` may hold runs of other hosts of which nobody here
    knows whether they still live. Of the runs that failed within a day, `failed` counts all and `failures` has the
    newest. `problems` say what could not be read.
    """

    time: datetime
    attention: list[str]
    tables: list[TableStatus]
    models: list[ModelStatus]
    unstaged: list[str]
    running: list[RunStatus]
    abandoned: int
    failed: int
    failures: list[RunStatus]
    decisions: list[Decision]
    problems: list[str]


def read_status(project: Project, now: datetime) -> Status:
    """How everything stands now. Damage is told in `problems` and in what it is about, and never raised."""
    problems: list[str] = []
    events = _read_events(project, problems)
    registry = _fold(events, problems)
    tables = [_read_table(project, name) for name in sorted(project.config.tables)]
    models, attention = _read_models(project, registry, events)
    activity = read_activity(project.store, now - DAY, problems)
    decisions = [each for model in registry for each in _decisions(model, now - DAY)]
    attention = [
        *(f"table {table.name} cannot be read: {table.problem}" for table in tables if table.problem),
        *attention,
        *(f"{each.action} was forced by {each.actor}: {each.why}" for each in decisions if each.forced),
        *(told for model in registry for told in _tell_discounted(model, now - DAY)),
        *problems,
    ]
    staged = {model.model for model in models}
    return Status(
        time=now,
        attention=attention,
        tables=tables,
        models=models,
        unstaged=[model.name for model in registry if model.name not in staged],
        running=activity.running,
        abandoned=activity.abandoned,
        failed=activity.failed,
        failures=activity.failures,
        decisions=sorted(decisions, key=lambda each: each.time, reverse=True),
        problems=problems,
    )


def _read_events(project: Project, problems: list[str]) -> list[Event]:
    try:
        return [*project.store.events.read()]
    except StoreError as error:
        problems.append(f"the registry cannot be read: {error.message}")
        return []


def _fold(events: Sequence[Event], problems: list[str]) -> list[Model]:
    try:
        registry = fold_events(events)
    except StoreError as error:
        problems.append(f"the registry cannot be read: {error.message}")
        return []
    return [registry[name] for name in sorted(registry)]


def _read_table(project: Project, name: str) -> TableStatus:
    table = open_table(project, name)
    try:
        entry = describe_commit(table.log.commit(table.log.head()))
    except LinError as error:
        return TableStatus(name=name, problem=error.message)
    shared = ("version", "time", "operation", "user", "run", "model", "restored")
    return TableStatus(name=name, **{fact: getattr(entry, fact) for fact in shared})


# --- models -----------------------------------------------------------------------------------------------------------


def _read_models(
    project: Project, registry: Sequence[Model], events: Sequence[Event]
) -> tuple[list[ModelStatus], list[str]]:
    """The versions in a stage, those in production first, and what about these needs attention."""
    proofs = {run: _proof(run, receipt) for run, receipt in read_proofs(events).items()}
    data = _Data(project)
    staged = [version for model in registry for version in model.versions if version.stage not in SHARED_STAGES]
    staged.sort(key=lambda version: version.stage != PRODUCTION)
    models, attention = [], []
    for version in staged:
        run, problem = _read_run(project, version)
        status = _model_status(version, run, problem, proofs.get(version.run), data)
        models.append(status)
        if status.stage == PRODUCTION:
            attention += [f"{status.reference} in production: {told}" for told in _object(project, status, run)]
    return models, attention


def _proof(run: str, told: SignedReceipt) -> Proof:
    against = told.rerun if told.run == run else told.run
    return Proof(verdict=told.verdict, time=told.time, actor=told.actor, against=against)


def _read_run(project: Project, version: ModelVersion) -> tuple[RunInfo | None, str | None]:
    """The run behind a version, and what is wrong with it or with the model's file."""
    try:
        run = read_run(project.store, version.run)
        if project.store.blobs.size(version.sha256) is None:
            return run, f"its file {version.artifact} is gone from the store"
    except LinError as error:
        return None, error.message
    return run, None


def _model_status(
    version: ModelVersion, run: RunInfo | None, problem: str | None, proof: Proof | None, data: "_Data"
) -> ModelStatus:
    move = version.history[-1]
    return ModelStatus(
        model=version.model,
        version=version.version,
        stage=version.stage,
        since=move.time,
        by=move.actor,
        reason=move.reason,
        forced=[gate for gate in move.gates if not gate.passed] if move.forced else [],
        run=version.run,
        proof=proof,
        data=[data.compare(read) for read in run.table_inputs] if run else [],
        feedback=run.predicted if run else [],
        feedback_unknown=run.tags.get(UNKNOWN_TAG) if run else "not known: its record cannot be read",
        golden=version.golden is not None,
        unsafe=version.unsafe,
        problem=problem,
    )


def _object(project: Project, status: ModelStatus, run: RunInfo | None) -> Iterator[str]:
    """What speaks against a version that is in production."""
    if status.problem:
        yield status.problem
    if status.proof is not None and status.proof.verdict == "different":
        yield f"a re-run on {status.proof.time:%Y-%m-%d} came out different"
    if run is not None and any(each.role in {"target", None} for each in run.predicted):
        yield from tell_recorded(project, msgspec.structs.replace(run, predicted=[*_of_target(run)]))
    yield from (each.problem for each in status.data if each.problem)


def _of_target(run: RunInfo) -> Iterator[PredictedInput]:
    """Predictions in what the run was to learn; of a program nobody knows what that is."""
    return (each for each in run.predicted if each.role in {"target", None})


class _Data:
    """What models were trained on, against the newest versions: each table and each pin is looked at once."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._head = cache(self._read_head)
        self._same = cache(self._is_same)

    def compare(self, read: TableRef) -> DataStatus:
        """A version that was read, against the newest one."""
        try:
            head = self._head(read.table, read.location)
            changed = head.version != read.version and not self._same(read.table, read.location, read.version, read.pin)
        except LinError as error:
            return DataStatus(table=read.table, read=read.version, head=None, changed=None, problem=error.message)
        return DataStatus(table=read.table, read=read.version, head=head.version, changed=changed)

    def _read_head(self, name: str, location: str) -> "_Head":
        return _Head(Table(name, (self._project.store_root / location).resolve()))

    def _is_same(self, name: str, location: str, version: int, pin: str) -> bool:
        from lin.data.recommit import place_of
        from lin.records import Pin, decode

        pinned = decode(self._project.store.blobs.read(pin), Pin, where=f"pin of {name}@{version}")
        places, schema = self._head(name, location).content
        return schema == pinned.schema and places == {place_of(file) for file in pinned.files}


class _Head:
    """The newest version of a table; what it consists of is read if somebody asks."""

    def __init__(self, table: Table) -> None:
        self._log = table.log
        self.version = self._log.head()

    @cached_property
    def content(self) -> tuple[set[object], str]:
        """Where its files lie, and its schema as a pin has it."""
        from lin.data.recommit import place_of

        snapshot = self._log.snapshot(self.version)
        schema = msgspec.json.encode(snapshot.metadata.schema, order="deterministic").decode()
        return {place_of(file) for file in snapshot.files}, schema


# --- decisions --------------------------------------------------------------------------------------------------------


def _tell_discounted(model: Model, since: datetime) -> Iterator[str]:
    for each in model.discounted:
        if each.time >= since:
            yield f"that {each.actor} did {each.action} does not count: {each.why}"


def _decisions(model: Model, since: datetime) -> Iterator[Decision]:
    """What was forced or refused since then."""
    for version in model.versions:
        for move in version.history:
            if move.forced and move.time >= since:
                yield Decision(
                    model=model.name,
                    action=f"{version.reference} to {move.stage}",
                    why=move.reason,
                    time=move.time,
                    actor=move.actor,
                    forced=True,
                )
    for refusal in model.refusals:
        if refusal.time >= since:
            yield Decision(
                model=model.name,
                action=refusal.action,
                why=refusal.why,
                time=refusal.time,
                actor=refusal.actor,
                forced=False,
            )
