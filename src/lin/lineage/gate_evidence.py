"""What is found when a gate is looked at: whether it is passed, and why, with the values that decided it.

Nothing is taken for good because it could not be asked: what is missing, unknown or unreadable does not pass.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import IO, NamedTuple

from lin.data.moments import show_moment
from lin.errors import OutsideError
from lin.gate_words import PLACES, fill_words
from lin.ids import short
from lin.models.fold import Model, ModelVersion, Remark
from lin.models.registry import read_events, read_proofs
from lin.models.roles import RIGHTS, is_governed, is_same_person, role_of
from lin.project import Project
from lin.records import Environment, TableRef, decode
from lin.runs.feedback import find_written_back, tell_recorded, tell_written_back, walk_back
from lin.runs.matching import matches, param_text, value_of
from lin.runs.query import RunFields, RunInfo, read_run
from lin.runs.where import ORDER, And, Expression, Field, Not, Or, format_field

_LONGEST_LINE = 4096
_SHOWN = 120
"""As many characters of what somebody wrote are shown."""


class Evidence(NamedTuple):
    """What was found, and whether the gate is passed by it."""

    passed: bool
    told: str


@dataclass(frozen=True)
class Case:
    """A version that is to move to a stage, and the model as it is now. `report` takes what programs print."""

    project: Project
    model: Model
    version: ModelVersion
    stage: str
    report: Callable[[str], None]

    @cached_property
    def run(self) -> RunInfo:
        """The run behind the version. Raises `StoreError`."""
        return read_run(self.project.store, self.version.run)


# --- values -----------------------------------------------------------------------------------------------------------


def find_values(case: Case, expression: Expression) -> Evidence:
    """Whether the version's run fulfils a filter; told are the values that it asks for."""
    fields = RunFields(case.run)
    told = (f"{format_field(field)} is {_show(value_of(field, fields))}" for field in _fields(expression))
    return Evidence(matches(expression, fields), ", ".join(dict.fromkeys(told)))


def find_beaten(case: Case, field: Field, op: str) -> Evidence:
    """Whether a metric is better than that of the version that holds the stage; told is if the data were others.

    Passed where no version holds it, or this one does.
    """
    name = format_field(field)
    held = next((v for v in case.model.versions if v.stage == case.stage), None)
    mine = _metric(case.run, field)
    if mine is None:
        return Evidence(passed=False, told=f"{name} is missing")
    if held is None or held.version == case.version.version:
        who = "no version holds" if held is None else f"{held.reference} itself holds"
        return Evidence(passed=True, told=f"{name} is {_show(mine)}; {who} {case.stage}")
    other = read_run(case.project.store, held.run)
    theirs = _metric(other, field)
    if theirs is None:
        return Evidence(passed=False, told=f"{name} is {_show(mine)}; {held.reference} in {case.stage} has none")
    told = f"{name} is {_show(mine)}, that of {held.reference} in {case.stage} {_show(theirs)}"
    otherwise = _measured_otherwise(case.run, other)
    return Evidence(ORDER[op](mine, theirs), f"{told}; measured {otherwise}" if otherwise else told)


def _fields(expression: Expression) -> Iterator[Field]:
    match expression:
        case And(parts) | Or(parts):
            for part in parts:
                yield from _fields(part)
        case Not(part):
            yield from _fields(part)
        case _:
            yield expression.field


def _metric(run: RunInfo, field: Field) -> float | None:
    found = run.metrics.get(field.key)
    return None if found is None else float(found)


def _show(value: object) -> str:
    return "missing" if value is None else param_text(value)


def _measured_otherwise(run: RunInfo, other: RunInfo) -> str:
    """On which other data, rows or test split two runs were measured; nothing where all of it is the same."""
    if not (run.inputs and other.inputs):
        return "on data that is not recorded"
    told = [f"{_inputs(run)} against {_inputs(other)}"] if _content(run) != _content(other) else []
    for name in ("rows", "test_size", "seed"):
        one, two = (getattr(r.fit, name, None) for r in (run, other))
        if one != two:
            told.append(f"{name} {_show_setting(one)} against {_show_setting(two)}")
    return f"on other data: {', '.join(told)}" if told else ""


def _content(run: RunInfo) -> set[str]:
    """What a run read, by content: a restored version is the old one."""
    return {read.pin for read in run.table_inputs} | {read.sha256 for read in run.file_inputs}


def _inputs(run: RunInfo) -> str:
    tables = [f"{read.table}@{read.version}" for read in run.table_inputs]
    return ", ".join([*tables, *(read.path for read in run.file_inputs)])


def _show_setting(value: object) -> str:
    return "unset" if value is None else repr(value)


# --- what was said and done -------------------------------------------------------------------------------------------


def find_reproduced(case: Case, *, within_tolerance: bool) -> Evidence:
    """Whether the newest re-run without changes came out the same, or close enough where that will do.

    A version whose run is itself such a re-run of another needs no further one.
    """
    last = read_proofs(read_events(case.project.store)).get(case.version.run)
    if last is None:
        return Evidence(passed=False, told=f"nobody has re-run it: lin rerun {case.version.reference}")
    allowed = {"identical", "same predictions", *(["within tolerance"] if within_tolerance else [])}
    tolerance = f" of {last.tolerance}" if last.verdict == "within tolerance" else ""
    differing = f" ({', '.join(last.differences)})" if last.differences else ""
    is_own = last.run == case.version.run
    which = f"re-run {short(last.rerun)}" if is_own else f"it is itself the re-run of {short(last.run)}"
    who = f"{which} by {last.actor}, {show_moment(last.time)}"
    return Evidence(last.verdict in allowed, f"{last.verdict}{tolerance}{differing}: {who}")


def find_comment(case: Case) -> Evidence:
    """Whether somebody commented on the version."""
    if not case.version.comments:
        return Evidence(passed=False, told=f"nobody commented on it: lin comment {case.version.reference} TEXT")
    last = case.version.comments[-1]
    return Evidence(passed=True, told=f"{last.actor}, {show_moment(last.time)}: {_clip(last.text or '')}")


def find_approvals(case: Case, count: int) -> Evidence:
    """Whether so many people approve of the version.

    Not counted is who registered it, and where the model has an owner, whoever is neither promoter nor owner now.
    Nobody stands there twice: see `lin.models.fold`.
    """
    registrar = (case.version.actor, case.version.email)
    counted: list[Remark] = []
    others: list[str] = []
    for remark in case.version.approvals:
        person = (remark.actor, remark.email)
        if is_same_person(person, registrar):
            others.append(f"{remark.actor} does not count, who registered it")
        elif is_governed(case.model) and RIGHTS[role_of(case.model, *person)] < RIGHTS["promoter"]:
            others.append(f"{remark.actor} does not count, who is no promoter")
        else:
            counted.append(remark)
    who = ", ".join(remark.actor for remark in counted) or "nobody"
    verb = "approve" if len(counted) > 1 else "approves"
    wanted = f", and it takes {count}" if len(counted) < count else ""
    return Evidence(len(counted) >= count, "; ".join([f"{who} {verb}{wanted}", *others]))


def find_environment(case: Case) -> Evidence:
    """Whether the run's environment is recorded, and its record can be read and names packages."""
    sha256 = case.run.environment
    if sha256 is None:
        return Evidence(passed=False, told=f"run {short(case.run.id)} has none")
    where = f"environment {sha256[:12]}"
    environment = decode(case.project.store.blobs.read(sha256), Environment, where=where)
    packages = len(environment.packages)
    told = f"{where}: {environment.implementation} {environment.python}, {packages} packages"
    return Evidence(packages > 0, told)


# --- feedback ---------------------------------------------------------------------------------------------------------


def find_no_feedback(case: Case) -> Evidence:
    """Whether no model wrote into what the run used as target or feature, of the tables that it read.

    What the run's record tells counts, and what the tables tell now. The log of each must tell all versions behind the
    one read, and this one must be what was pinned. Files are not looked into. Predictions in a column that the fit did
    not use, or that were all written over, do not matter.

    Raises:
        NotFoundError: a table or its pin is gone. OutsideError: its log or a file is damaged.
    """
    from lin.runs.execute import UNPINNED_TAG

    run = case.run
    if not run.table_inputs:
        return Evidence(passed=False, told=f"run {short(run.id)} read no table, and what it read is not known")
    if unpinned := run.tags.get(UNPINNED_TAG):
        return Evidence(passed=False, told=f"tables that it read could not be pinned: {unpinned}")
    if recorded := tell_recorded(case.project, run):
        return Evidence(passed=False, told="; ".join(recorded))
    written = find_written_back(case.project, run)
    if used := tell_written_back(written, fit=run.fit, features=run.features):
        return Evidence(passed=False, told="; ".join(used))
    tables = ", ".join(_require_whole_log(case.project, read) for read in run.table_inputs)
    unused = dict.fromkeys(found.column for found in written if found.kept != 0)
    told = [f"no model wrote what it used of {tables}"]
    told += [f"models wrote {', '.join(unused)}, which it did not use"] if unused else []
    told += [f"{len(run.file_inputs)} files that it read were not looked into"] if run.file_inputs else []
    return Evidence(passed=True, told="; ".join(told))


def _require_whole_log(project: Project, read: TableRef) -> str:
    """The version's name, if the log of the table tells of all that went into it. Raises `OutsideError`."""
    from lin.data.history import read_history
    from lin.data.recommit import place_of
    from lin.data.tables import Table
    from lin.runs.pinned import read_recorded_pin

    name = f"{read.table}@{read.version}"
    table = Table(read.table, project.store_root / read.location)
    first = [entry.version for entry in walk_back(read_history(table), read.version)][-1:]
    if first != [0]:
        known = f"goes back to version {first[0]} only" if first else f"no longer tells of version {read.version}"
        raise OutsideError(f"the log of table '{read.table}' {known}", hint=f"lin history {read.table}")
    pin = read_recorded_pin(project.store, read)
    if [place_of(file) for file in table.log.snapshot(read.version).files] != [place_of(file) for file in pin.files]:
        raise OutsideError(f"{name} is no longer what the run read", hint=f"lin history {read.table}")
    return name


# --- a program --------------------------------------------------------------------------------------------------------


def run_check(case: Case, words: tuple[str, ...]) -> Evidence:
    """Whether a program exits with 0, run in the project's folder; told are its exit code and its last line.

    It has no standard input. What it prints goes to `report`, until nobody holds its output any more.
    """
    version = case.version
    values = dict(zip(PLACES, (version.model, str(version.version), case.stage, version.run), strict=True))
    named = {f"LIN_{place.upper()}": value for place, value in values.items()}
    variables = os.environ | named | {"LIN_STORE": str(case.project.store_root.resolve())}
    argv = fill_words(words, values)
    try:
        with subprocess.Popen(
            argv,
            cwd=case.project.root,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as program:
            last = _report_lines(program.stdout, case.report)
    except (OSError, ValueError) as error:
        return Evidence(passed=False, told=f"{argv[0]} cannot be run: {error}")
    code = program.returncode
    ended = f"exit code {code}" if code >= 0 else f"ended by signal {-code}"
    return Evidence(code == 0, f"{ended}: {_clip(last)}" if last else ended)


def _report_lines(stream: IO[bytes] | None, report: Callable[[str], None]) -> str:
    """Pass every line on; returns the last one that says something."""
    last = ""
    while stream is not None and (data := stream.readline(_LONGEST_LINE)):
        text = data.decode(errors="replace").rstrip()
        report(text)
        last = text.strip() or last
    return last


def _clip(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
