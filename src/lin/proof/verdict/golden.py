"""A model version held against its own golden predictions: does it still say what it said when it was trained?

Three things could be otherwise. The file: its sha256 is that of the registration, or not. The libraries: the same file
answers otherwise here than where it was trained. Neither: what answers otherwise each time is never blamed on either.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Literal

import msgspec

from lin.errors import LinError, NotFoundError, OutsideError, StoreError, UsageError
from lin.ids import short
from lin.lineage.references import find_meant
from lin.models.fold import ModelVersion
from lin.models.golden import DECISIVE, version_here
from lin.project import Project
from lin.proof.verdict.verify import check_tolerance
from lin.records import Environment, Package, decode
from lin.runs.environment import capture_environment, diff_environments
from lin.runs.golden import Golden, GoldenDiff, compare_opened, read_golden
from lin.runs.host import capture_host
from lin.runs.persist import inspect_model, load_model
from lin.runs.query import RunInfo
from lin.runs.score import score_again
from lin.runs.trust import NOBODY, Trust, importing_trusted

Answer = Literal[
    "same",
    "within tolerance",
    "the libraries changed the answer",
    "cannot be scored here",
    "the model changed",
    "different",
    "inconclusive",
]


class PackageChange(msgspec.Struct, frozen=True, kw_only=True):
    """A package that is not the one of the run. `likely`: it takes part in what a model answers."""

    name: str
    then: str | None
    now: str | None
    likely: bool


class GoldenCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A model version scored again on its golden rows, here and now.

    The answers: `same`, every bit. `within tolerance`, as declared. `the libraries changed the answer`: the file is the
    registered one, its predictions are not, and `packages` or `machine` differ from the run's. `cannot be scored here`:
    the file is the registered one, and these libraries do not load it, or fail to score. `the model changed`: the file
    in the store is missing, or is not the registered one; nothing was loaded. `different`: other predictions, though
    nothing that was recorded differs. `inconclusive`: asked twice here, it does not answer the same.

    `why` has a sentence where there is more to say. `golden` is None where nothing was scored.
    """

    model: str
    run: str
    answer: Answer
    why: str | None
    sha256: str
    rows: int
    golden: GoldenDiff | None
    packages: list[PackageChange]
    machine: list[str]
    tolerance: float | None

    @property
    def same(self) -> bool:
        """Whether the answer is a yes."""
        return self.answer in {"same", "within tolerance"}


class _Outcome(msgspec.Struct, frozen=True, kw_only=True):
    answer: Answer
    why: str | None = None
    golden: GoldenDiff | None = None


def check_model(
    project: Project, reference: str, *, tolerance: float | None = None, trust: Trust = NOBODY
) -> GoldenCheck:
    """Score a model version's golden rows again, and say whether it answers as it did, and if not, what changed.

    Args:
        project: where it is registered.
        reference: `boston@1`, `boston@production`.
        tolerance: |a - b| ≤ t + t·max(|a|, |b|) for every prediction and probability; labels must be the same.
        trust: whose code may run when the model is loaded.

    Raises:
        NotFoundError: no such version, or it keeps no golden predictions. UsageError: `reference` is a run, the file
            needs types that nobody trusts, or the tolerance is not a number ≥ 0. StoreError: the golden predictions
            are damaged.
    """
    check_tolerance(tolerance)
    meant = find_meant(project, reference)
    run, version = meant.run, meant.version
    if version is None:
        raise UsageError(
            f"'{reference}' is a run: only a model version has golden predictions of its own to be held against",
            hint=f"lin verify {reference} RUN",
        )
    golden = _read_golden(project, version)
    around = _Surroundings(project, run)
    try:
        data = project.store.blobs.read(version.sha256)
    except StoreError as error:
        outcome = _Outcome(answer="the model changed", why=error.message)
        packages: list[PackageChange] = []
    else:
        with importing_trusted(project.root, trust):
            outcome = _judge(version, data, golden, around, tolerance, trust)
        packages = around.packages(data)
    return GoldenCheck(
        model=version.reference,
        run=run.id,
        answer=outcome.answer,
        why=outcome.why,
        sha256=version.sha256,
        rows=golden.table.num_rows,
        golden=outcome.golden,
        packages=packages,
        machine=around.machine,
        tolerance=tolerance,
    )


def _read_golden(project: Project, version: ModelVersion) -> Golden:
    if version.golden is None:
        raise NotFoundError(
            f"{version.reference} keeps no golden predictions: there is nothing to hold it against",
            hint=f"lin rerun {version.reference}",
        )
    return read_golden(project.store.blobs.read(version.golden))


def _judge(
    version: ModelVersion, data: bytes, golden: Golden, around: "_Surroundings", tolerance: float | None, trust: Trust
) -> _Outcome:
    try:
        found = compare_opened(golden, _score(version, data, golden, trust), tolerance=tolerance)
    except OutsideError as error:
        return _Outcome(answer="cannot be scored here", why=error.message)
    if found.same:
        return _Outcome(answer="same", golden=found)
    if tolerance is not None and found.close:
        return _Outcome(answer="within tolerance", golden=found)
    first, second = (_score(version, data, golden, trust) for _ in range(2))
    if not compare_opened(first, second).same:
        return _Outcome(answer="inconclusive", why="asked twice here, it does not answer the same", golden=found)
    if around.differ:
        return _Outcome(answer="the libraries changed the answer", golden=found)
    why = "nothing that the run recorded of its environment or machine differs from here"
    return _Outcome(answer="different", why=why, golden=found)


def _score(version: ModelVersion, data: bytes, golden: Golden, trust: Trust) -> Golden:
    """What the model in the file says of the rows now; each time it is loaded anew, since some remember."""
    try:
        return score_again(load_model(data, path=version.artifact, trust=trust), golden)
    except UsageError as error:
        made = None if version.unsafe else inspect_model(data).sklearn
        here = version_here("scikit-learn")
        if made is not None and made != here:  # the other one's types have other names, which nobody knows here
            raise OutsideError(f"it was made by scikit-learn {made}, and here is {here}: {error.message}") from error
        raise UsageError(
            f"{version.reference} is not scored: {error.message}",
            hint=f"{error.hint}; or lin rerun {version.reference}",
        ) from error


class _Surroundings:
    """What the run recorded of where it ran, and what is here: captured before a model is loaded, as the trainer does.

    A run without an environment differs in all that could be known of it.
    """

    def __init__(self, project: Project, run: RunInfo) -> None:
        import sklearn.base  # noqa: F401  its BLAS is part of what is captured

        self._here = capture_environment()
        self._then = _read_environment(project, run)
        self.machine = list(self._compare_machine(run))

    @property
    def differ(self) -> bool:
        """Whether anything is not as recorded."""
        return bool(self.machine or self._changed)

    @cached_property
    def _changed(self) -> dict[str, tuple[Package | None, Package | None]]:
        """The packages that differ, by name, as they were and as they are."""
        if self._then is None:
            return {}
        then, now = ({package.name: package for package in side.packages} for side in (self._then, self._here))
        pairs = {name: (then.get(name), now.get(name)) for name in sorted(then.keys() | now.keys())}
        return {name: pair for name, pair in pairs.items() if not _is_same(*pair)}

    def packages(self, data: bytes) -> list[PackageChange]:
        """The packages that differ, those first that take part in what the model in this file answers."""
        likely = _packages_of(data)
        changes = [
            PackageChange(name=name, then=_told(then, now), now=_told(now, then), likely=name in likely)
            for name, (then, now) in self._changed.items()
        ]
        return sorted(changes, key=lambda change: not change.likely)

    def _compare_machine(self, run: RunInfo) -> Iterator[str]:
        if self._then is None:
            yield "the run recorded no environment"
            return
        bare = (msgspec.structs.replace(side, packages=[]) for side in (self._then, self._here))
        yield from diff_environments(*bare)
        cpu = capture_host().cpu
        if run.host.cpu != cpu:
            yield f"CPU {run.host.cpu} -> {cpu}"


def _read_environment(project: Project, run: RunInfo) -> Environment | None:
    if run.environment is None:
        return None
    where = f"the environment of run {short(run.id)}"
    return decode(project.store.blobs.read(run.environment), Environment, where=where)


def _is_same(then: Package | None, now: Package | None) -> bool:
    if then is None or now is None:
        return False
    files = (then.record, now.record) if then.record and now.record else (None, None)
    return (then.version, then.editable, files[0]) == (now.version, now.editable, files[1])


def _told(package: Package | None, other: Package | None) -> str | None:
    """The version of a package, with what tells it from one of the same version."""
    if package is None:
        return None
    if other is None or other.version != package.version:
        return package.version
    return f"{package.version} ({'editable' if package.editable else (package.record or 'no record')[:8]})"


def _packages_of(data: bytes) -> frozenset[str]:
    """The packages whose code makes up the model, as far as its file names them."""
    try:
        types = inspect_model(data).types
    except LinError:
        return frozenset(DECISIVE)
    roots = {kind.partition(".")[0] for kind in types}
    return frozenset(DECISIVE) | {root.replace("_", "-") for root in roots}
