"""Lineage downwards: what came of a thing, through models, predictions and restores, and what of it is live."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from deltalake import DeltaTable

from lin.errors import NotFoundError
from lin.ids import new_id, short
from lin.lineage.affected import Impact
from lin.lineage.delete import delete_runs
from lin.lineage.impact import impact
from lin.lineage.versions import FEW
from lin.models.changes import promote, register_model
from lin.models.fold import ModelVersion
from lin.models.registry import find_version, read_registry
from lin.project import Project
from lin.records import FileRef, Fit, Kind, ModelRef, TableRef, digest, encode
from lin.runs.persist import PICKLED_MODEL
from lin.runs.record import begin_run, capture
from lin.runs.writes import pin_input

FindModel = Callable[[Project, str], ModelVersion]


def ways(found: Impact) -> set[str]:
    """The edges, by the names of what they join."""
    names = {node.id: node.name for node in found.graph.nodes}
    return {f"{names[e.source]} -> {names[e.target]}: {e.how}" for e in found.graph.edges}


def references(found: Impact) -> tuple[list[str], list[str]]:
    """The model versions and the table versions."""
    return [each.reference for each in found.models], sorted(each.reference for each in found.tables)


def table_ref(told, version: int) -> TableRef:
    return pin_input(told.story.project, told.story.table, version)[1]


def sealed(
    project: Project, name: str, inputs=(), outputs=(), *, kind: Kind = "program", features=(), **options
) -> str:
    recorder = begin_run(project, capture(project), kind=kind, name=name, inputs=[*inputs], **options)
    for output in outputs:
        recorder.log_output(output)
    recorder.seal("finished", features=[*features])
    return recorder.id


def test_a_bad_version_leads_to_the_model_that_was_trained_on_it(told) -> None:
    project = told.story.project
    promote(project, "boston@2", "production", judge=None)
    found = impact(project, "housing@1")
    second = short(told.runs["second"])
    assert ways(found) == {f"housing@1 -> {second}: read", f"{second} -> boston@2: registered"}
    assert references(found) == (["boston@2"], [])
    assert [(each.reference, each.live) for each in found.live] == [("boston@2", ["production"])]
    assert [(run.id, run.models, run.deleted) for run in found.runs] == [(told.runs["second"], ["boston@2"], False)]
    assert (found.graph.root, found.graph.direction) == ("table:housing@1", "down")


def test_what_is_archived_is_not_live(told) -> None:
    project = told.story.project
    promote(project, "boston@2", "production", judge=None)
    promote(project, "boston@3", "production", judge=None)
    assert impact(project, "housing@1").live == []
    assert [each.reference for each in impact(project, "housing@0").live] == ["boston@3"]


def test_predictions_lead_on(told) -> None:
    """boston@1 filled housing@1, on which boston@2 was trained."""
    found = impact(told.story.project, "boston@1")
    filled = short(told.runs["filled"])
    assert {f"boston@1 -> {filled}: predicted", f"{filled} -> housing@1: wrote"} < ways(found)
    assert references(found) == (["boston@2"], ["housing@1"])
    (made,) = found.predictions
    assert (made.run, made.models, made.tables) == (told.runs["filled"], ["boston@1"], ["housing@1"])
    assert (found.tables[0].how, found.tables[0].run) == ("wrote", told.runs["filled"])


def test_a_restored_version_is_the_same_data(told) -> None:
    zero, two = impact(told.story.project, "housing@0"), impact(told.story.project, "housing@2")
    assert [run.id for run in zero.runs] == [run.id for run in two.runs]
    assert zero.models == two.models
    assert references(zero) == (["boston@1", "boston@2", "boston@3"], ["housing@1", "housing@2"])
    assert "housing@2 -> housing@0: the same data" in ways(two)


def test_a_restore_undoes(told) -> None:
    """housing@2 came after housing@1, and holds nothing of it."""
    assert "housing@2" not in str(impact(told.story.project, "housing@1").graph)
    DeltaTable(told.story.table.root).restore(1)
    assert "housing@1 -> housing@3: restored" in ways(impact(told.story.project, "housing@1"))


def test_later_versions_hold_it(told) -> None:
    told.story.append(8)
    DeltaTable(told.story.table.root).optimize.compact()
    fourth = told.story.train()
    found = impact(told.story.project, "housing@2")
    assert {"housing@2 -> housing@3: kept", "housing@3 -> housing@4: the same rows"} < ways(found)
    assert fourth.id in [run.id for run in found.runs]
    assert "boston@4" in references(found)[0]


def test_many_writes_that_nobody_read_are_one_node(told) -> None:
    log = told.story.table.root / "_delta_log"
    for version in range(3, 40):
        info = {"timestamp": version, "operation": "SET TBLPROPERTIES"}
        (log / f"{version:020d}.json").write_bytes(encode({"commitInfo": info}))
    last = told.story.train()
    found = impact(told.story.project, "housing@2")
    assert {
        "housing@2 -> housing@3…38: kept",
        "housing@3…38 -> housing@39: kept",
        f"housing@39 -> {short(last.id)}: read",
    } < ways(found)


def test_a_run_leads_to_what_it_made(told) -> None:
    found = impact(told.story.project, told.runs["filled"])
    assert references(found) == (["boston@2"], ["housing@1"])
    assert [run.id for run in found.runs] == [told.runs["second"]]
    assert impact(told.story.project, f"runs:/{told.runs['first']}/model/model.skops").predictions != []
    assert impact(told.story.project, "last").models[0].reference == "boston@3"


def test_files_lead_on_by_content(told) -> None:
    project = told.story.project
    old, new = (FileRef(path="x.csv", sha256=digest(text), bytes=1) for text in (b"1", b"2"))
    made = sealed(project, "write", outputs=[old])
    sealed(project, "write again", outputs=[new])
    used = sealed(project, "use", [old])
    found = impact(project, made)
    assert ways(found) == {f"{short(made)} -> x.csv: wrote", f"x.csv -> {short(used)}: read"}
    assert [run.id for run in impact(project, "x.csv").runs] == [used]
    assert impact(project, f"sha256:{new.sha256}").runs == []
    assert found.files == []
    assert impact(project, f"source:{made}").files == ["x.csv"]


def test_source_and_environment_lead_to_their_runs(told) -> None:
    project = told.story.project
    found = impact(project, f"environment:{told.runs['first']}")
    assert set(told.runs.values()) <= {run.id for run in found.runs}
    assert references(found)[0] == ["boston@1", "boston@2", "boston@3"]
    assert {node.kind for node in found.graph.nodes} == {"environment", "run", "predictions", "table", "model"}


# --- columns ----------------------------------------------------------------------------------------------------------


def test_a_column_leads_to_the_runs_that_used_it(told) -> None:
    project = told.story.project
    read = table_ref(told, 1)
    fit = Fit(estimator=["sklearn.linear_model.Ridge"], target="guess")
    target = sealed(project, "as target", [read], kind="train", fit=fit, features=["rm"])
    feature = sealed(project, "as feature", [read], kind="train", features=["guess", "rm"])
    sealed(project, "silent", [read])
    found = impact(project, "housing@1:guess")
    assert ways(found) == {
        f"housing@1:guess -> {short(target)}: target",
        f"housing@1:guess -> {short(feature)}: feature",
    }
    assert found.graph.notes == ["1 run read housing@1 and does not tell which columns: lin impact housing@1"]
    assert told.runs["second"] in {run.id for run in impact(project, "housing@1:rm").runs}
    with pytest.raises(NotFoundError, match="no column 'nope'"):
        impact(project, "housing@1:nope")


def test_a_column_is_in_later_versions(told) -> None:
    told.story.append(8)
    last = told.story.train()
    found = impact(told.story.project, "housing@2:rm")
    assert {
        "housing@2:rm -> housing@3:rm: kept",
        f"housing@3:rm -> {short(last.id)}: feature",
        "housing@2:rm -> housing@0:rm: the same data",
    } < ways(found)


# --- many, deleted, gone ----------------------------------------------------------------------------------------------


def test_runs_of_a_sweep_of_which_nothing_came_are_one_node(told) -> None:
    project, read = told.story.project, table_ref(told, 1)
    sweep, captured = new_id(), capture(project)
    runs = []
    for number in range(FEW + 2):
        recorder = begin_run(
            project, captured, kind="train", name=f"fit {number}", inputs=[read], sweep=sweep, experiment="grid"
        )
        recorder.seal("finished")
        runs.append(recorder.id)
    few = sealed(project, "alone", [read])
    found = impact(project, "housing@1")
    (fold,) = [node for node in found.graph.nodes if node.id.startswith("runs:")]
    assert (fold.name, fold.kind) == (f"{FEW + 2} runs", "run")
    assert fold.detail == f"train, finished, sweep {sweep[-8:]} of grid: nothing came of them"
    assert [run.id for run in found.runs] == [told.runs["second"], few]
    assert [(each.sweep, each.experiment, each.ids) for each in found.alike] == [(sweep, "grid", runs)]
    assert found.affected == len(runs) + 2
    assert f"housing@1 -> {short(few)}: read" in ways(found)


def test_a_deleted_run_is_marked(told) -> None:
    project = told.story.project
    run = sealed(project, "use", [table_ref(told, 1)])
    delete_runs(project, [run], now=datetime.now(UTC))
    found = impact(project, "housing@1")
    assert [each.deleted for each in found.runs] == [False, True]
    assert [node.detail for node in found.graph.nodes if node.name == short(run)] == ["program, finished: use, deleted"]


def test_deleted_runs_among_many_are_named(told) -> None:
    project = told.story.project
    runs = [sealed(project, "use", [table_ref(told, 1)]) for _ in range(FEW + 2)]
    delete_runs(project, runs[1:3], now=datetime.now(UTC))
    (alike,) = impact(project, "housing@1").alike
    assert (alike.ids, alike.deleted) == (runs, runs[1:3])


def test_cells_are_hidden_unless_something_came_of_them(told) -> None:
    project = told.story.project
    cell = sealed(project, "cell", [table_ref(told, 1)], kind="cell")
    assert cell not in {run.id for run in impact(project, "housing@1").runs}
    assert impact(project, cell).runs == []


def test_a_table_that_is_gone_still_tells_who_read_it(told) -> None:
    shutil.rmtree(told.story.table.root)
    found = impact(told.story.project, "housing@1")
    assert references(found) == (["boston@2"], [])
    assert len(found.graph.notes) == 1
    assert "is not a Delta table" in found.graph.notes[0]
    with pytest.raises(NotFoundError):
        impact(told.story.project, "housing@7")


def test_a_damaged_record_is_told_and_the_rest_is_there(told) -> None:
    project = told.story.project
    run = sealed(project, "use", [table_ref(told, 1)])
    (path,) = project.store_root.glob(f"runs/*/{run}/run.json")
    path.write_bytes(path.read_bytes()[:-20])
    found = impact(project, "housing@1")
    assert [each.id for each in found.runs] == [told.runs["second"]]
    assert [run in note for note in found.graph.notes] == [True]


def test_depth_cuts_the_lists_too(told) -> None:
    near = impact(told.story.project, "boston@1", depth=1)
    assert [run.id for run in near.runs] == [told.runs["filled"]]
    assert (references(near), near.graph.left_out) == (([], []), 1)
    further = impact(told.story.project, "boston@1", depth=2)
    assert (references(further), further.graph.left_out) == (([], ["housing@1"]), 1)


def test_runs_of_which_nothing_came_count_as_what_lies_behind(told) -> None:
    sealed(told.story.project, "use", [table_ref(told, 1)])
    assert impact(told.story.project, "boston@1", depth=2).graph.left_out == 2


def test_a_model_that_was_trained_on_its_own_predictions_is_walked_once(told) -> None:
    """A cycle as no honest log has it: the fill of housing@1 says that it used boston@2, too."""
    project = told.story.project
    used = ModelRef(model="boston", version=2, sha256=project.store.blobs.put(b"a model"))
    location = project.locate(told.story.table.root)
    pin = project.store.blobs.put(b"a pin")
    written = TableRef(table="housing", location=location, version=1, pin=pin, rows=2)
    run = sealed(project, "ouroboros", [used], [written], kind="predict", params={"column": "guess", "rows": 2})
    found = impact(project, "boston@2")
    second = short(told.runs["second"])
    assert ways(found) == {
        f"boston@2 -> {short(run)}: predicted",
        f"{short(run)} -> housing@1: wrote",
        f"housing@1 -> {second}: read",
        f"{second} -> boston@2: registered",
    }
    (made,) = found.predictions
    assert (made.column, made.rows) == ("guess", 2)
    assert found.models == []  # it is what was asked for


def test_nothing_comes_of_what_nobody_used(told) -> None:
    found = impact(told.story.project, "boston@3")
    assert (found.runs, found.models, found.tables, len(found.graph.nodes)) == ([], [], [], 1)


def test_each_run_is_told_once_alone_or_among_others(told) -> None:
    project = told.story.project
    zero, one = table_ref(told, 0), table_ref(told, 1)
    for sweep, inputs, count in ((new_id(), [zero], 5), (new_id(), [zero, one], 4), (new_id(), [one], 2)):
        for number in range(count):
            sealed(project, f"fit {number}", inputs, kind="train", sweep=sweep)
    sealed(project, "scored", [zero, told_model(told)], kind="predict")
    run = told.runs["second"]
    many = 0
    for reference in ("housing@0", "housing@1", "boston@1", run, f"source:{run}", f"environment:{run}"):
        for depth in (None, 0, 1, 3):
            found = impact(project, reference, depth=depth)
            ids = [each.id for each in found.runs] + [run for each in found.alike for run in each.ids]
            assert found.affected == len(ids) == len({*ids})
            many += len(found.alike) > 1
    assert many


def told_model(told) -> ModelRef:
    return ModelRef(
        model="boston", version=1, sha256=find_version(read_registry(told.story.project.store), "boston@1").sha256
    )


def test_a_model_whose_file_runs_code_is_marked(told) -> None:
    project = told.story.project
    recorder = begin_run(project, capture(project), kind="program", name="pickled", inputs=[table_ref(told, 1)])
    recorder.log_artifact(b"not opened", PICKLED_MODEL)
    recorder.seal("finished")
    register_model(project, recorder.id, "own")
    (node,) = [node for node in impact(project, "housing@1").graph.nodes if node.name == "own@1"]
    assert node.detail == "registered by ann, unsafe: loading it runs its code"
