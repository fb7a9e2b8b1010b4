"""Which axes differ: chance is the seed, what cannot matter does not count, and what is unknown is told."""

import dataclasses
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from lin.project import Project
from lin.proof.why.axes import Axes, compare_axes, differ_in_seed
from lin.proof.why.environment_axis import compare_hosts, compare_packages
from lin.records import Blas, Environment, Fit, Package, Source, SourceFile, SourceTree, encode
from lin.runs.compare import compare_runs
from lin.runs.host import capture_host, capture_process
from lin.runs.query import RunInfo, read_run
from lin.runs.record import Capture, begin_run

Record = Callable[..., RunInfo]

HERE = Environment(
    python="3.11.7",
    implementation="cpython",
    abi="cpython-311",
    system="Linux",
    machine="x86_64",
    packages=[Package(name="numpy", version="2.4.6", record="a" * 64), Package(name="pip", version="25.0")],
    blas=[Blas(library="openblas", version="0.3.30", threads=2, kernel="Haswell")],
    variables={"TZ": "UTC"},
    cpu_features=["avx2", "fma"],
)


def axes_of(project: Project, a: RunInfo, b: RunInfo) -> Axes:
    return compare_axes(project, a, b, compare_runs(project, [a, b]))


def names(changes: list[Any]) -> list[str]:
    return [change.name for change in changes]


@pytest.fixture
def captured(project: Project) -> Capture:
    """Made up, for that is quicker: no files, and the environment above."""
    blobs = project.store.blobs
    return Capture(
        source=Source(tree=blobs.put(encode(SourceTree(files=[])))),
        environment=blobs.put(encode(HERE)),
        host=capture_host(),
        process=capture_process(),
    )


@pytest.fixture
def record(project: Project, captured: Capture) -> Record:
    """Records a finished run that read nothing; `logged` are params that it logged itself."""

    def make(
        kind: Any = "program", *, logged: dict[str, Any] | None = None, around: Capture = captured, **options: Any
    ) -> RunInfo:
        recorder = begin_run(project, around, kind=kind, name="x", **options)
        for key, value in (logged or {}).items():
            recorder.log_param(key, value)
        recorder.seal("finished")
        return read_run(project.store, recorder.id)

    return make


def fit_of(**changed: Any) -> Fit:
    return msgspec.structs.replace(Fit(estimator=["sklearn.linear_model.Ridge"], target="medv", seed=1), **changed)


# --- params and seed --------------------------------------------------------------------------------------------------


def test_a_seed_of_a_fit_is_told_once_and_apart_from_its_params(project: Project, record: Record) -> None:
    first = record("train", fit=fit_of(), params={"alpha": 0.1}, logged={"random_state": 1})
    other = record("train", fit=fit_of(seed=2, test_size=0.3), params={"alpha": 1.0}, logged={"random_state": 2})
    found = axes_of(project, first, other)
    assert (names(found.params), names(found.seed), found.logged) == (["alpha", "test_size"], ["seed"], [])
    assert found.differing == ["params", "seed"]


def test_a_random_state_that_was_asked_for_is_a_seed_of_its_own(project: Project, record: Record) -> None:
    first = record("train", fit=fit_of(params={"random_state": 5}), params={"random_state": 5})
    other = record("train", fit=fit_of(params={"random_state": 6}), params={"random_state": 6})
    assert names(axes_of(project, first, other).seed) == ["random_state"]


def test_what_a_command_logs_is_its_own_doing(project: Project, record: Record) -> None:
    runs = [record("command", command=["x"], params={"lr": lr}, logged={"rate": lr * 2}) for lr in (0.1, 0.2)]
    found = axes_of(project, *runs)
    assert (names(found.params), names(found.logged)) == (["lr"], ["rate"])
    runs = [record(logged={"rate": rate}) for rate in (0.1, 0.2)]  # nobody knows how these were started
    assert names(axes_of(project, *runs).params) == ["rate"]


@pytest.mark.parametrize(
    ("old", "new", "is_seed"),
    [
        (["p", "--seed", "1"], ["p", "--seed", "2"], True),
        (["p", "--random-state=1"], ["p", "--random-state=2"], True),
        (["p", "seed=1", "--lr", "3"], ["p", "seed=2", "--lr", "3"], True),
        (["p", "--seed", "1", "--lr", "3"], ["p", "--seed", "2", "--lr", "4"], False),
        (["p", "1"], ["p", "2"], False),
        (["seed", "1"], ["seed", "2"], False),
        (["p", "--lr=1"], ["p", "--seed=1"], False),
        (["p"], ["p", "--seed=1"], False),
        (["p"], ["p"], False),
        (None, ["p"], False),
    ],
)
def test_commands_that_differ_in_seeds_alone(old: Any, new: Any, is_seed: bool) -> None:
    assert differ_in_seed(old, new) is is_seed
    assert differ_in_seed(new, old) is is_seed


# --- source -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "estimator", "idle"),
    [
        ("lineage.toml", "sklearn.linear_model.Ridge", True),
        ("notes/train.py", "sklearn.linear_model.Ridge", True),
        ("notes/train.py", "notes.mine.Ridge", False),
        ("random.py", "sklearn.linear_model.Ridge", False),  # may stand in for the one of Python
        ("sklearn/__init__.py", "sklearn.linear_model.Ridge", False),
        ("numpy.py", "sklearn.linear_model.Ridge", False),
    ],
)
def test_files_that_the_trainer_never_reads_do_not_count(
    project: Project, captured: Capture, record: Record, path: str, estimator: str, idle: bool
) -> None:
    blobs = project.store.blobs
    files = [SourceFile(path=path, sha256=blobs.put(data), bytes=len(data)) for data in (b"a\n", b"b\n")]
    runs = [
        record(
            "train",
            fit=fit_of(estimator=[estimator]),
            around=dataclasses.replace(captured, source=Source(tree=blobs.put(encode(SourceTree(files=[file]))))),
        )
        for file in files
    ]
    found = axes_of(project, *runs)
    assert found.source is not None
    assert found.source.idle is idle
    assert found.differing == ([] if idle else ["source"])


# --- environment and host ---------------------------------------------------------------------------------------------


def test_packages_that_compute_come_first(project: Project, captured: Capture, record: Record) -> None:
    packages = [
        Package(name="attrs", version="1"),
        Package(name="numpy", version="2.3.1"),
        Package(name="xgboost", version="3"),
    ]
    other = msgspec.structs.replace(HERE, packages=packages, python="3.12.1")
    blobs = project.store.blobs
    places = [dataclasses.replace(captured, environment=blobs.put(encode(each))) for each in (HERE, other)]
    runs = [record("train", fit=fit_of(estimator=["xgboost.XGBRegressor"]), around=place) for place in places]
    found = axes_of(project, *runs)
    assert [(c.name, c.old, c.new, c.only, c.likely) for c in found.environment] == [
        ("python", "3.11.7", "3.12.1", None, True),
        ("xgboost", None, "3", "b", True),
        ("numpy", "2.4.6", "2.3.1", None, True),
        ("attrs", None, "1", "b", False),
        ("pip", "25.0", None, "a", False),
    ]
    assert (found.host, found.differing) == ([], ["environment"])


@pytest.mark.parametrize(
    ("package", "note"),
    [
        (Package(name="numpy", version="2.4.6", record="b" * 64), "other files under the same version"),
        (Package(name="numpy", version="2.4.6", editable=True), "editable in B alone"),
        (Package(name="numpy", version="2.4.6", record="a" * 64, source="c" * 64), "editable, other source"),
        (Package(name="numpy", version="2.4.6"), None),  # its files are not known
    ],
)
def test_the_same_version_may_be_another_package(package: Package, note: str | None) -> None:
    other = msgspec.structs.replace(HERE, packages=[package, HERE.packages[1]])
    assert [change.note for change in compare_packages(HERE, other)] == ([note] if note else [])


def test_threads_kernels_variables_and_cpu_features_are_of_the_host() -> None:
    other = msgspec.structs.replace(
        HERE,
        blas=[Blas(library="openblas", version="0.3.30", threads=1, kernel="Zen")],
        variables={"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "7"},
        cpu_features=["avx2", "avx512f"],
    )
    assert [(c.name, c.old, c.new) for c in compare_hosts(HERE, other)] == [
        ("threads of openblas", "2", "1"),
        ("kernel of openblas", "Haswell", "Zen"),
        ("TZ", "UTC", None),
        ("OMP_NUM_THREADS", None, "1"),
        ("CPU feature fma", True, None),
        ("CPU feature avx512f", None, True),
    ]
    assert compare_packages(HERE, other) == []
    unknown = msgspec.structs.replace(HERE, blas=[], cpu_features=[])
    assert compare_hosts(HERE, unknown) == []


def test_the_hash_seed_is_chance(project: Project, captured: Capture, record: Record) -> None:
    other = msgspec.structs.replace(HERE, variables={"TZ": "UTC", "PYTHONHASHSEED": "7"})
    places = [dataclasses.replace(captured, environment=project.store.blobs.put(encode(e))) for e in (HERE, other)]
    found = axes_of(project, *(record(around=place) for place in places))
    assert (names(found.seed), found.differing) == (["PYTHONHASHSEED"], ["seed"])


def test_another_machine_counts_by_its_cpu_alone(project: Project, captured: Capture, record: Record) -> None:
    other = dataclasses.replace(captured, host=msgspec.structs.replace(captured.host, name="elsewhere", cores=96))
    found = axes_of(project, record(), record(around=other))
    assert (names(found.machine), found.differing) == (["name", "cores"], [])
    other = dataclasses.replace(captured, host=msgspec.structs.replace(captured.host, cpu="another"))
    assert axes_of(project, record(), record(around=other)).differing == ["host"]


def test_an_environment_that_is_gone_is_unknown_and_not_the_same(
    project: Project, captured: Capture, record: Record
) -> None:
    kept = project.store.blobs.put(encode(msgspec.structs.replace(HERE, python="3.12.1")))
    runs = [record(), record(around=dataclasses.replace(captured, environment=kept))]
    (project.store_root / "blobs" / kept[:2] / kept).unlink()
    found = axes_of(project, *runs)
    assert found.unknown["environment"].startswith("it cannot be compared: ")
    assert found.differing == []
