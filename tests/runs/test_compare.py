"""What differs between runs: all of it, nothing else, and no less where something can no longer be read."""

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from lin.data.tables import open_table
from lin.errors import UsageError
from lin.numbers import Real
from lin.project import Project, create_project, open_project
from lin.records import Artifact, Environment, FileRef, Git, Input, ModelRef, TableRef, decode, encode, encode_in_full
from lin.runs.compare import compare_runs
from lin.runs.differences import Difference, RunComparison
from lin.runs.query import RunInfo, read_run
from lin.runs.record import Capture, Recorder, begin_run, capture
from lin.runs.restore import restore_table
from lin.runs.source import capture_source
from lin.runs.writes import pin_input

Begin = Callable[..., Recorder]
NUMBERS = st.sampled_from([0.0, -0.0, 1.0, 1.5, -2.0, math.nan, math.inf, -math.inf])


@pytest.fixture
def seal(project: Project, begin: Begin) -> Callable[..., RunInfo]:
    """Records a run with these metrics, artifacts and features; anything else goes to `begin`."""

    def seal(
        *, metrics: dict[str, float] | None = None, features: list[str] | None = None, files: Any = (), **options: Any
    ) -> RunInfo:
        recorder = begin(**options)
        for key, value in (metrics or {}).items():
            recorder.log_metric(key, value)
        for path, content in dict(files).items():
            recorder.log_artifact(content, path)
        recorder.seal("finished", features=features or [])
        return read_run(project.store, recorder.id)

    return seal


Seal = Callable[..., RunInfo]


def told(differences: list[Difference]) -> dict[str, list[Any]]:
    return {difference.name: list(difference.values.values()) for difference in differences}


def pin(project: Project, version: int | None = None) -> list[Input]:
    return [pin_input(project, open_table(project, "housing"), version)[1]]


def write(project: Project, rows: dict[str, list[Any]], mode: Any = "append") -> None:
    from deltalake import write_deltalake

    write_deltalake(open_table(project, "housing").root, pa.table(rows), mode=mode, schema_mode="merge")


def forget(project: Project, sha256: str) -> None:
    (project.store_root / f"blobs/{sha256[:2]}/{sha256}").unlink()


# --- what a run is ----------------------------------------------------------------------------------------------------


def test_params_and_tags_differ_as_they_are_stored(project: Project, seal: Seal):
    a = seal(params={"same": [1], "type": 1, "flag": 1, "gone": "x", "null": None}, tags={"team": "a", "one": "1"})
    b = seal(params={"same": [1], "type": 1.0, "flag": True, "null": 0, "new": None}, tags={"team": "b", "one": "1"})
    compared = compare_runs(project, [a, b])
    assert told(compared.params) == {
        "type": [1, 1.0],
        "flag": [1, True],
        "gone": ["x"],
        "null": [None, 0],
        "new": [None],
    }
    assert [list(d.values) for d in compared.params if len(d.values) == 1] == [[a.id], [b.id]]
    assert told(compared.tags) == {"team": ["a", "b"]}


def test_metrics_have_deltas_and_the_trainers_a_better_side(project: Project, seal: Seal):
    a = seal(metrics={"rmse": 2.0, "r2": 0.5, "loss": 1.0, "same": math.nan, "zero": 0.0, "far": math.inf, "old": 1})
    b = seal(metrics={"rmse": 1.5, "r2": 0.25, "loss": 2.0, "same": math.nan, "zero": -0.0, "far": 1.0, "new": 1})
    metrics = {m.name: m for m in compare_runs(project, [a, b]).metrics}
    assert list(metrics) == ["far", "loss", "old", "r2", "rmse", "zero", "new"]
    assert {name: list(m.deltas.values()) for name, m in metrics.items()} == snapshot(
        {"far": [], "loss": [1.0], "old": [], "r2": [-0.25], "rmse": [-0.5], "zero": [0.0], "new": []}
    )
    assert {name: m.better[b.id] for name, m in metrics.items() if m.better} == {"rmse": True, "r2": False}


def test_features(project: Project, seal: Seal):
    runs = [seal(features=features) for features in (["a", "b", "c"], ["c", "b", "a"], ["b", "d"], ["a", "b", "c"], [])]
    features = compare_runs(project, runs).features
    assert [(f.run, f.added, f.removed, f.reordered) for f in features] == [
        (runs[1].id, [], [], True),
        (runs[2].id, ["d"], ["a", "c"], False),
    ]
    assert "features" in compare_runs(project, [runs[0], runs[3]]).same
    assert "features" not in compare_runs(project, [runs[0], runs[4]]).same


def test_facts_tell_when_and_how_long_always_and_else_what_differs(project: Project, seal: Seal, begin: Begin):
    a = seal(kind="command", name="fit", command=["python", "a.py"], experiment="wine")
    failed = begin(kind="command", name="fit", command=["python", "b.py"], experiment="wine")
    failed.seal("failed", exit_code=3, error="it fell", peak_memory_bytes=1000)
    compared = compare_runs(project, [a, read_run(project.store, failed.id)])
    assert [fact.name for fact in compared.facts] == snapshot(
        ["status", "exit_code", "error", "started", "seconds", "peak_memory_bytes", "command"]
    )
    assert [fact.name for fact in compare_runs(project, [a, a]).facts] == ["started", "seconds"]


def test_what_is_the_same_is_named_where_all_have_some(project: Project, seal: Seal):
    a, b = (seal(params={"alpha": 1}, metrics={"rmse": n}, tags={"team": "a"} if n else {}) for n in (1, 0))
    assert compare_runs(project, [a, b]).same == snapshot(["params", "source", "environment", "host"])


def test_an_unsealed_run_is_compared_as_far_as_it_got(project: Project, seal: Seal, begin: Begin):
    open_run = begin(params={"alpha": 1})
    open_run.log_metric("rmse", 1.0)
    compared = compare_runs(project, [read_run(project.store, open_run.id), seal(metrics={"rmse": 2.0})])
    assert told(compared.facts)["status"] == ["running", "finished"]
    assert list(compared.metrics[0].deltas.values()) == [1.0]


def test_labels(project: Project, seal: Seal):
    a, b = seal(), seal()
    compared = compare_runs(project, [a, b, b], labels=["boston@1", b.id[:9], b.id])
    assert [run.label for run in compared.runs] == ["boston@1", b.id[-8:], b.id[-8:]]
    assert compared.labels([b.id, a.id]) == f"{b.id[-8:]}, boston@1"
    assert [run.label for run in compare_runs(project, [a, b]).runs] == [a.id[-8:], b.id[-8:]]


def test_one_run_is_not_compared(project: Project, seal: Seal):
    with pytest.raises(UsageError, match="nothing to compare it with"):
        compare_runs(project, [seal()])


@settings(max_examples=40, deadline=None)
@given(*(st.dictionaries(st.sampled_from(["rmse", "r2", "loss"]), NUMBERS) for _ in range(2)))
def test_the_other_way_round_is_the_opposite(base: "tuple[Project, RunInfo]", a: dict, b: dict):
    project, run = base
    runs = [
        msgspec.structs.replace(run, id=id_ * 32, metrics={key: Real(value) for key, value in metrics.items()})
        for id_, metrics in (("a", a), ("b", b))
    ]
    there, back = ({m.name: m for m in compare_runs(project, order).metrics} for order in (runs, runs[::-1]))
    differ = {key for key in a.keys() | b.keys() if encode(_real(a, key)) != encode(_real(b, key))}
    assert there.keys() == back.keys() == differ
    for name, metric in there.items():
        assert {run: repr(value) for run, value in metric.values.items()} == {
            run: repr(value) for run, value in back[name].values.items()
        }
        assert [-delta for delta in metric.deltas.values()] == list(back[name].deltas.values())
        assert [not better for better in metric.better.values()] == list(back[name].better.values())


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> "tuple[Project, RunInfo]":
    project = create_project(tmp_path_factory.mktemp("base"), name="boston")[0]
    recorder = begin_run(project, capture(project), kind="program", name="fit")
    recorder.seal("finished")
    return project, read_run(project.store, recorder.id)


def _real(metrics: dict[str, float], key: str) -> Real | None:
    return Real(metrics[key]) if key in metrics else None


# --- inputs -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def versions(housing: Project) -> Project:
    """`housing`: 0 has 60 rows, 1 one row more, 2 all of 0 again."""
    write(housing, {"ID": [99], "rm": [1.0], "lstat": [1.0], "noise": [1.0], "medv": [1.0]})
    restore_table(housing, open_table(housing, "housing"), 0)
    return housing


def test_tables_at_two_versions_have_their_rows_counted_once(versions: Project, seal: Seal):
    a, b, c, d = (seal(inputs=pin(versions, version)) for version in (0, 1, 1, 0))
    compared = compare_runs(versions, [a, b, c, d])
    [thing] = compared.inputs
    assert (thing.kind, thing.name) == ("table", "housing")
    assert [read.version for run in (a, b, c, d) for read in thing.values[run.id] if isinstance(read, TableRef)] == [
        0,
        1,
        1,
        0,
    ]
    [change] = compared.tables
    assert (change.old, change.new, change.runs, change.note) == (0, 1, [b.id, c.id], None)
    assert change.diff is not None
    assert (change.diff.key, change.diff.inserted, change.diff.updated, change.diff.rows) == (["ID"], 1, 0, [])


def test_rows_are_not_counted_where_nobody_asks(versions: Project, seal: Seal):
    [change] = compare_runs(versions, [seal(inputs=pin(versions, n)) for n in (0, 1)], rows=False).tables
    assert (change.diff, change.note) == (None, None)


def test_a_restored_version_is_the_same_data(versions: Project, seal: Seal):
    compared = compare_runs(versions, [seal(inputs=pin(versions, n)) for n in (0, 2)])
    [change] = compared.tables
    assert (change.old, change.new, change.diff, change.note) == (0, 2, None, "the same data")
    assert "inputs" not in compared.same


def test_the_order_of_rows_is_an_input_too(versions: Project, seal: Seal):
    [plain] = pin(versions, 0)
    ordered = msgspec.structs.replace(plain, order=["ID"])
    [change] = compare_runs(versions, [seal(inputs=[plain]), seal(inputs=[ordered])]).tables
    assert change.note == "the same data, read in another order: as written -> ID"


def test_a_run_that_read_several_versions_has_them_listed(versions: Project, seal: Seal):
    a, b = seal(inputs=pin(versions, 0)), seal(inputs=pin(versions, 0) + pin(versions, 1))
    compared = compare_runs(versions, [a, b])
    assert [len(read) for read in compared.inputs[0].values.values()] == [1, 2]
    assert compared.tables == []


@pytest.mark.parametrize("what", ["gone", "replaced", "vacuumed", "unpinned", "moved"])
def test_a_table_that_cannot_be_compared_says_so(versions: Project, seal: Seal, what: str):
    root = open_table(versions, "housing").root
    runs = [seal(params={"n": n}, inputs=pin(versions, n)) for n in (0, 1)]
    [new] = runs[1].table_inputs
    if what == "gone":
        shutil.rmtree(root)
    elif what == "replaced":
        shutil.rmtree(root)
        write(versions, {"ID": [1]})
        write(versions, {"ID": [2]})
    elif what == "vacuumed":
        for file in root.glob("*.parquet"):
            file.unlink()
    elif what == "unpinned":
        forget(versions, new.pin)
    else:
        runs[1] = msgspec.structs.replace(runs[1], inputs=[msgspec.structs.replace(new, location="../elsewhere")])
    compared = compare_runs(versions, runs)
    [change] = compared.tables
    says = {
        "gone": "the rows cannot be compared: ",
        "replaced": "the rows cannot be compared: housing@0 is no longer what the run read",
        "vacuumed": "the rows cannot be compared: ",
        "unpinned": "the rows cannot be compared: ",
        "moved": "other data, in another place: ../data/housing -> ../elsewhere",
    }
    assert change.diff is None
    assert (change.note or "").startswith(says[what])
    assert told(compared.params) == {"n": [0, 1]}


def test_an_undeclared_table_is_compared_without_a_key(versions: Project, seal: Seal):
    runs = [seal(inputs=pin(versions, n)) for n in (0, 1)]
    settings = versions.root / "lineage.toml"
    settings.write_text(settings.read_text().partition("[tables.housing]")[0])
    [change] = compare_runs(open_project(versions.root), runs).tables
    assert change.diff is not None
    assert (change.diff.key, change.diff.inserted) == (None, 1)


def test_files_models_and_what_was_written(versions: Project, seal: Seal):
    a, b = seal(), seal()
    old = [FileRef("a.csv", "0" * 64, 9), FileRef("b.csv", "1" * 64, 9), ModelRef("boston", 1, "2" * 64)]
    new = [FileRef("a.csv", "3" * 64, 9), FileRef("b.csv", "1" * 64, 9), ModelRef("boston", 2, "4" * 64)]
    a = msgspec.structs.replace(a, inputs=old, outputs=[FileRef("out.png", "5" * 64, 1)])
    b = msgspec.structs.replace(b, inputs=new)
    compared = compare_runs(versions, [a, b])
    assert [(thing.kind, thing.name) for thing in compared.inputs] == [("file", "a.csv"), ("model", "boston")]
    assert [(thing.name, list(thing.values)) for thing in compared.outputs] == [("out.png", [a.id])]
    assert compared.tables == []


def test_artifacts(project: Project, seal: Seal):
    a, b = seal(files={"a.txt": b"1", "same": b"x"}), seal(files={"a.txt": b"2", "same": b"x", "b.txt": b""})
    compared = compare_runs(project, [a, b])
    assert {name: [kept.bytes for kept in values] for name, values in told(compared.artifacts).items()} == {
        "a.txt": [1, 1],
        "b.txt": [0],
    }
    assert isinstance(compared.artifacts[0].values[a.id], Artifact)


# --- source, environment, host ----------------------------------------------------------------------------------------


@pytest.fixture
def sources(project: Project, captured: Capture) -> Callable[[str, str], list[RunInfo]]:
    """Two runs whose project had a `train.py` with these texts."""

    def runs(*texts: str) -> list[RunInfo]:
        found = []
        for text in texts:
            (project.root / "train.py").write_text(text)
            source = capture_source(project.root, project.store.blobs, exclude=project.folders_of_data)
            recorder = begin_run(project, replace(captured, source=source), kind="program", name="fit")
            recorder.seal("finished")
            found.append(read_run(project.store, recorder.id))
        return found

    return runs


def test_each_other_source_has_its_hunks_once(project: Project, sources: Callable[..., list[RunInfo]]):
    runs = sources("x = 1\n", "x = 2\n", "x = 2\n", "x = 1\n")
    [change] = compare_runs(project, runs).source
    assert change.runs == [runs[1].id, runs[2].id]
    assert change.files[0].hunks == snapshot("""\
diff --git a/train.py b/train.py
--- a/train.py
+++ b/train.py
@@ -1 +1 @@
-x = 1
+x = 2
""")


def test_a_lost_snapshot_is_said(project: Project, sources: Callable[..., list[RunInfo]]):
    runs = sources("x = 1\n", "x = 2\n")
    assert runs[1].source is not None
    forget(project, runs[1].source.tree)
    [change] = compare_runs(project, runs).source
    assert (change.files, (change.note or "").partition(":")[0]) == ([], "it cannot be compared")


def test_a_source_of_one_run_only(project: Project, seal: Seal):
    runs = [seal(), msgspec.structs.replace(seal(), source=None, environment=None)]
    compared = compare_runs(project, runs)
    assert [change.note for change in (*compared.source, *compared.environment)] == [
        "recorded for only one of them"
    ] * 2


def test_git(project: Project, seal: Seal):
    a, b = seal(), seal()
    assert a.source is not None
    gits = [Git("c" * 40, "main", None, dirty) for dirty in (False, True)]
    runs = [
        msgspec.structs.replace(run, source=msgspec.structs.replace(a.source, git=git))
        for run, git in zip((a, b), gits, strict=True)
    ]
    compared = compare_runs(project, runs)
    assert told(compared.git) == {"dirty": [False, True]}
    assert "source" in compared.same


def test_environments(project: Project, seal: Seal):
    runs = [seal() for _ in range(4)]
    assert runs[0].environment is not None
    known = decode(project.store.blobs.read(runs[0].environment), Environment, where="it")
    others = [msgspec.structs.replace(known, python="3.99.0"), msgspec.structs.replace(known, cpu_features=[])]
    digests = [runs[0].environment, *(project.store.blobs.put(encode(other)) for other in others), "f" * 64]
    runs = [msgspec.structs.replace(run, environment=digest) for run, digest in zip(runs, digests, strict=True)]
    changes = compare_runs(project, runs).environment
    assert changes[0].differences == [f"python {known.python} -> 3.99.0"]
    assert (changes[1].differences, changes[1].note) == ([], "nothing that both of them tell differs")
    assert (changes[2].note or "").startswith("it cannot be compared: ")


def test_the_host(project: Project, seal: Seal):
    a, b = seal(), seal()
    b = msgspec.structs.replace(b, host=msgspec.structs.replace(b.host, cores=99))
    assert told(compare_runs(project, [a, b]).host) == {"cores": [a.host.cores, 99]}


def test_the_json_is_whole(versions: Project, seal: Seal):
    compared = compare_runs(versions, [seal(inputs=pin(versions, n), metrics={"m": n}) for n in (0, 1)])
    decoded = msgspec.json.decode(encode_in_full(compared))
    assert set(decoded) == set(RunComparison.__struct_fields__)
    assert decoded["tables"][0]["diff"]["inserted"] == 1
