"""Recording a run: begin it, log to it from any process, seal it.

`start.json` is on disk before anything runs; everything logged goes to the run's `log.jsonl` as it happens; sealing
folds that log into `run.json`, which is written last. A run without `run.json` is running or abandoned.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lin.ids import new_id
from lin.project import Project
from lin.records import (
    Fit,
    Host,
    Input,
    Kind,
    Log,
    PredictedInput,
    Process,
    Sealed,
    Source,
    Start,
    Status,
    TableRef,
    digest,
    encode,
)
from lin.runs.environment import capture_environment
from lin.runs.fold import fold_log
from lin.runs.host import capture_host, capture_process
from lin.runs.log import RunLog, attach, check_key, plain_param, plain_text, text_of
from lin.runs.logfile import LogFile
from lin.runs.needs import hold_named
from lin.runs.source import capture_source
from lin.store.backend import Appender
from lin.store.runs import LOG, OUTPUT
from lin.store.store import Store
from lin.version import __version__

if TYPE_CHECKING:
    from lin.runs.feedback import LookedBack

__all__ = ["Capture", "Recorder", "attach", "begin_run", "capture", "fold_log", "plain_param"]


@dataclass(frozen=True)
class Capture:
    """What surrounds a run: taken once and shared by the runs of one sweep or one process."""

    source: Source
    environment: str
    host: Host
    process: Process


def capture(project: Project) -> Capture:
    """Take the source snapshot, the environment, the host and this process, blobs included."""
    return Capture(
        source=capture_source(project.root, project.store.blobs, exclude=project.folders_of_data),
        environment=project.store.blobs.put(encode(capture_environment(project.store.blobs, project.root))),
        host=capture_host(),
        process=capture_process(),
    )


def begin_run(
    project: Project,
    captured: Capture,
    *,
    kind: Kind,
    name: str,
    experiment: str | None = None,
    sweep: str | None = None,
    parent: str | None = None,
    reason: str | None = None,
    command: list[str] | None = None,
    folder: str = ".",
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    fit: Fit | None = None,
    inputs: list[Input] | None = None,
    recipe: str | None = None,
) -> "Recorder":
    """Write `start.json` and return the recorder of the new run. Raises `UsageError` for a key that cannot be one."""
    start = Start(
        id=new_id(),
        kind=kind,
        name=plain_text(name),
        started=datetime.now(UTC),
        actor=plain_text(project.actor),
        lin=__version__,
        host=captured.host,
        process=captured.process,
        experiment=None if experiment is None else plain_text(experiment),
        sweep=sweep,
        parent=parent,
        reason=None if reason is None else plain_text(reason),
        command=[plain_text(word) for word in command or []],
        folder=plain_text(folder),
        params={check_key(key): plain_param(value) for key, value in (params or {}).items()},
        tags={check_key(key): text_of(value) for key, value in (tags or {}).items()},
        fit=fit,
        inputs=inputs or [],
        source=captured.source,
        environment=captured.environment,
        recipe=recipe,
    )
    hold_named(project.store.blobs, start)
    return Recorder(project.store, start.id, start, project.store.runs.begin(start), project=project)


class Recorder(RunLog):
    """Logs to a run that this process began, and seals it."""

    def __init__(
        self, store: Store, run_id: str, start: Start, start_digest: str, *, project: Project | None = None
    ) -> None:
        super().__init__(store, run_id, LogFile(store.runs, run_id))
        self.start = start
        self._project = project
        self._start_digest = start_digest
        self._begun = time.monotonic()

    def output(self) -> Appender:
        """Open the run's output log for appending."""
        return self._store.runs.appender(self.id, OUTPUT)

    def seal(
        self,
        status: Status,
        *,
        exit_code: int | None = None,
        error: str | None = None,
        features: list[str] | None = None,
        predicted: list[PredictedInput] | None = None,
        peak_memory_bytes: int | None = None,
    ) -> Sealed:
        """Fold the log into `run.json` and write it. From now on the run is on disk, whole, and never changes.

        `predicted` tells what of its inputs a model wrote: see `lin.runs.feedback`. Of a program that is looked for
        where it is None.

        Raises:
            ConflictError: it is sealed already.
        """
        self._file.close(sync=True)
        log = self._store.runs.file(self.id, LOG)
        output = self._store.runs.file(self.id, OUTPUT)
        logged = fold_log(self.start, log or b"")
        tags = logged.tags
        if predicted is None:
            looked = self.look_back(logged.inputs)
            predicted, tags = (looked.predicted, tags | looked.tags) if looked else ([], tags)
        sealed = Sealed(
            id=self.id,
            start=self._start_digest,
            status=status,
            ended=datetime.now(UTC),
            seconds=round(time.monotonic() - self._begun, 6),
            exit_code=exit_code,
            error=None if error is None else plain_text(error),
            params=logged.params,
            tags=tags,
            metrics=logged.metrics,
            features=features or [],
            artifacts=logged.artifacts,
            inputs=logged.inputs,
            outputs=logged.outputs,
            predicted=predicted,
            log=None if log is None else Log(sha256=digest(log), bytes=len(log)),
            output=None if output is None else Log(sha256=digest(output), bytes=len(output)),
            peak_memory_bytes=peak_memory_bytes,
        )
        self._store.runs.seal(sealed)
        return sealed

    def look_back(self, inputs: list[Input]) -> "LookedBack | None":
        """What models wrote of the tables that a program read; None where there is nothing to look at.

        A re-run reads what was laid out for it, and other runs either look themselves or train nothing.
        """
        tables = [read for read in inputs if isinstance(read, TableRef)]
        is_asked = self.start.kind in {"command", "program"} and self.start.recipe is None
        if self._project is None or not tables or not is_asked:
            return None
        from lin.runs.feedback import look_back

        return look_back(self._project, tables)
