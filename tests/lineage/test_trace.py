"""Lineage upwards: through runs, models, write-backs and restores; cut where endless, whole where things are gone."""

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from lin.errors import NotFoundError, UsageError
from lin.ids import short
from lin.lineage.trace import DEEPEST, Node, trace
from lin.models.changes import promote
from lin.models.fold import ModelVersion
from lin.project import Project
from lin.records import ModelRef, TableRef, encode
from lin.runs.record import begin_run, capture

FindModel = Callable[[Project, str], ModelVersion]


def shape(node: Node) -> Any:
    """The tree as nested lists of `kind name`; what stands elsewhere ends in `…`."""
    name = f"{node.kind} {node.name}" + ("…" if node.seen else "")
    return [name, *map(shape, node.sources)] if node.sources else name


def importing(told) -> str:
    return next(told.story.table.log.commits()).info["lin.run"]


def run(run_id: str) -> str:
    return f"run {short(run_id)}"


def test_a_model_goes_up_to_the_import(told) -> None:
    assert shape(trace(told.story.project, "boston@1")) == [
        "model boston@1",
        [run(told.runs["first"]), ["table housing@0", run(importing(told))]],
    ]


def test_a_model_trained_on_predictions_goes_through_the_model_that_made_them(told) -> None:
    tree = trace(told.story.project, "boston@2")
    assert shape(tree) == [
        "model boston@2",
        [
            run(told.runs["second"]),
            [
                "table housing@1",
                [
                    run(told.runs["filled"]),
                    ["table housing@0", run(importing(told))],
                    ["model boston@1", [run(told.runs["first"]), "table housing@0…"]],
                ],
            ],
        ],
    ]


def test_a_restored_version_comes_from_the_old_one(told) -> None:
    assert shape(trace(told.story.project, "housing@2")) == [
        "table housing@2",
        [run(told.runs["restored"]), ["table housing@0", run(importing(told))]],
    ]
    text = encode(trace(told.story.project, "boston@3")).decode()
    assert "boston@1" not in text
    assert "boston@2" not in text


def test_every_kind_of_reference_can_be_traced(told) -> None:
    project = told.story.project
    assert trace(project, "housing") == trace(project, "housing@2")
    assert trace(project, "boston") == trace(project, "boston@3") == trace(project, "models:/boston/latest")
    assert trace(project, "last") == trace(project, told.runs["third"])
    with pytest.raises(NotFoundError, match="no table, model or run 'nowhere'"):
        trace(project, "nowhere")
    with pytest.raises(NotFoundError, match="no version 99"):
        trace(project, "housing@99")
    told.story.train("housing")
    with pytest.raises(UsageError, match="a table and a model"):
        trace(project, "housing")


def test_details_say_what_each_thing_is(told) -> None:
    project = told.story.project
    promote(project, "boston@1", "production")
    model = trace(project, "boston@1")
    (trained,) = model.sources
    (table,) = trained.sources
    (imported,) = table.sources
    assert model.detail == "registered by ann, production"
    assert trained.detail == "train, finished: Ridge alpha=0.1"
    assert table.detail.endswith(" by ann")
    assert imported.detail == "import, finished: housing.csv into housing"


def test_writes_without_a_run_stand_by_themselves(told) -> None:
    story = told.story
    story.append(8)
    story.append(9)
    assert shape(trace(story.project, "housing@4")) == [
        "table housing@4",
        [
            "table housing@3",
            ["table housing@2", [run(told.runs["restored"]), ["table housing@0", run(importing(told))]]],
        ],
    ]


def test_a_commit_may_name_a_run_of_another_store(told) -> None:
    project = told.story.project
    (folder,) = project.store_root.glob(f"runs/*/{importing(told)}")
    shutil.rmtree(folder)
    tree = trace(project, "housing@0")
    (gone,) = tree.sources
    assert (gone.kind, gone.name, gone.sources) == ("run", short(importing(told)), [])
    assert "missing from the store" in gone.detail


def test_a_table_that_is_gone_stands_in_the_tree_with_the_reason(told) -> None:
    shutil.rmtree(told.story.table.root)
    tree = trace(told.story.project, "boston@1")
    (table,) = tree.sources[0].sources
    assert (table.kind, table.name) == ("table", "housing@0")
    assert "is not a Delta table" in table.detail
    with pytest.raises(NotFoundError, match="not a Delta table"):
        trace(told.story.project, "housing")


def test_a_model_that_is_not_registered_here_stands_in_the_tree_with_the_reason(told) -> None:
    project = told.story.project
    foreign = ModelRef(model="elsewhere", version=3, sha256=project.store.blobs.put(b"a model"))
    recorder = begin_run(project, capture(project), kind="predict", name="x", inputs=[foreign])
    recorder.seal("finished")
    (model,) = trace(project, recorder.id).sources
    assert (model.kind, model.name) == ("model", "elsewhere@3")
    assert "there is no model 'elsewhere'" in model.detail


def test_a_cycle_is_walked_once(told) -> None:
    """A log may be hostile: here the run that wrote version 1 says that it read version 1."""
    story, project = told.story, told.story.project
    location = project.locate(story.table.root)
    itself = TableRef(table="housing", location=location, version=1, pin=project.store.blobs.put(b"a pin"), rows=2)
    recorder = begin_run(project, capture(project), kind="program", name="ouroboros", inputs=[itself])
    recorder.seal("finished")
    path = story.table.root / "_delta_log" / f"{1:020d}.json"
    path.write_text(path.read_text().replace(told.runs["filled"], recorder.id))
    assert shape(trace(project, "housing@1")) == ["table housing@1", [run(recorder.id), "table housing@1…"]]
    assert shape(trace(project, recorder.id)) == [run(recorder.id), ["table housing@1", f"{run(recorder.id)}…"]]


def test_a_long_history_is_cut_and_says_how_to_go_on(begun) -> None:
    log = begun.table.root / "_delta_log"
    for version in range(1, 401):  # as another writer would; each but a note
        info = {"timestamp": version, "operation": "SET TBLPROPERTIES"}
        (log / f"{version:020d}.json").write_bytes(encode({"commitInfo": info}))
    node, depth = trace(begun.project, "housing@400"), 0
    while node.sources:
        (node,) = node.sources
        depth += 1
    assert depth == DEEPEST
    assert (node.name, node.detail) == ("housing@300", "and so on: lin trace housing@300")
    end = trace(begun.project, "housing@50")
    while end.sources:
        (end,) = end.sources
    assert end.kind == "run"


def test_a_long_chain_of_write_backs_is_cut_too(begun, find_model: FindModel) -> None:
    """Runs between the versions make the tree twice as deep; it can still be written as JSON."""
    begun.train()
    project, table = begun.project, begun.table
    model = find_model(project, "boston@1")
    used = ModelRef(model="boston", version=1, sha256=model.sha256)
    captured, location = capture(project), project.locate(table.root)
    pin = project.store.blobs.put(b"a pin")
    for version in range(1, DEEPEST + 20):
        read = TableRef(table="housing", location=location, version=version - 1, pin=pin, rows=2)
        recorder = begin_run(project, captured, kind="predict", name=f"fill {version}", inputs=[read, used])
        info = {"timestamp": version, "operation": "WRITE", "lin.run": recorder.id, "lin.model": "boston@1"}
        (table.root / "_delta_log" / f"{version:020d}.json").write_bytes(encode({"commitInfo": info}))
    tree = trace(project, "housing")
    assert b"and so on: lin trace housing@" in encode(tree)


def test_versions_no_longer_in_the_log_are_told(told) -> None:
    from deltalake import DeltaTable

    story = told.story
    DeltaTable(story.table.root).create_checkpoint()
    for version in (0, 1):
        (story.table.root / "_delta_log" / f"{version:020d}.json").unlink()
    (table,) = trace(story.project, "boston@1").sources[0].sources
    assert (table.name, table.detail, table.sources) == ("housing@0", "no longer in the table's log", [])
