"""Lineage upwards: through runs, models, write-backs and restores; whole where things are gone."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lin.data.tables import open_table
from lin.errors import NotFoundError, UsageError
from lin.ids import short
from lin.lineage.delete import delete_runs
from lin.lineage.graph import Graph, Node
from lin.lineage.trace import MOST_FILES, trace
from lin.lineage.walk import MOST
from lin.models.changes import promote
from lin.models.fold import ModelVersion
from lin.project import Project, open_project
from lin.records import FileRef, ModelRef, TableRef, digest, encode
from lin.runs.record import begin_run, capture

FindModel = Callable[[Project, str], ModelVersion]


def shape(graph: Graph) -> Any:
    """The graph as nested lists of `kind name`, without source and environment; what stands elsewhere ends in `…`."""
    nodes = {node.id: node for node in graph.nodes}
    seen: set[str] = set()

    def grow(at: str) -> Any:
        name = f"{nodes[at].kind} {nodes[at].name}"
        below = [e.source for e in graph.edges if e.target == at]
        below = [each for each in below if nodes[each].kind not in {"source", "environment"}]
        if at in seen:
            return f"{name}…" if below else name
        seen.add(at)
        return [name, *map(grow, below)] if below else name

    return grow(graph.root)


def sources(graph: Graph, name: str) -> list[str]:
    """What a thing was made from, and how."""
    nodes = {node.id: node for node in graph.nodes}
    return [f"{nodes[e.source].name}: {e.how}" for e in graph.edges if nodes[e.target].name == name]


def find(graph: Graph, name: str) -> Node:
    (node,) = [node for node in graph.nodes if node.name == name]
    return node


def importing(told) -> str:
    return next(told.story.table.log.commits()).info["lin.run"]


def run(run_id: str) -> str:
    return f"run {short(run_id)}"


def predictions(run_id: str) -> str:
    return f"predictions {short(run_id)}"


def test_a_model_goes_up_to_the_import(told) -> None:
    assert shape(trace(told.story.project, "boston@1")) == [
        "model boston@1",
        [run(told.runs["first"]), ["table housing@0", run(importing(told))]],
    ]


def test_a_model_trained_on_predictions_goes_through_the_model_that_made_them(told) -> None:
    assert shape(trace(told.story.project, "boston@2")) == [
        "model boston@2",
        [
            run(told.runs["second"]),
            [
                "table housing@1",
                [
                    predictions(told.runs["filled"]),
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


def test_a_restore_by_somebody_else_jumps_too(told) -> None:
    table = told.story.table
    DeltaTable(table.root).restore(1)
    assert sources(trace(told.story.project, "housing@3"), "housing@3") == ["housing@1: restored"]
    by_time = {"timestamp": 4, "operation": "RESTORE", "operationParameters": {"version": "9"}}
    (table.root / "_delta_log" / f"{4:020d}.json").write_bytes(encode({"commitInfo": by_time}))
    assert sources(trace(told.story.project, "housing@4"), "housing@4") == ["housing@3: kept"]  # 9 is yet to come


def test_an_optimized_version_has_the_same_rows(told) -> None:
    told.story.append(7)
    DeltaTable(told.story.table.root).optimize.compact()
    graph = trace(told.story.project, "housing@4")
    assert sources(graph, "housing@4") == ["housing@3: the same rows"]
    assert sources(graph, "housing@3") == ["housing@2: kept"]


def test_every_kind_of_reference_can_be_traced(told) -> None:
    project = told.story.project
    assert trace(project, "housing") == trace(project, "housing@2") == trace(project, "table:housing")
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
    promote(project, "boston@1", "production", judge=None)
    graph = trace(project, "boston@1")
    assert find(graph, "boston@1").detail == "registered by ann, production"
    assert find(graph, "boston@1").live == ["production"]
    assert find(graph, short(told.runs["first"])).detail == "train, finished: Ridge alpha=0.1"
    assert find(graph, "housing@0").detail.endswith(" by ann")
    assert find(graph, short(importing(told))).detail == "import, finished: housing.csv into housing"


def test_the_source_and_the_environment_of_each_run_are_there(told) -> None:
    graph = trace(told.story.project, "boston@1")
    kinds = {node.id: node.kind for node in graph.nodes}
    of_first = [kinds[e.source] for e in graph.edges if e.target == f"run:{told.runs['first']}"]
    assert of_first == ["table", "source", "environment"]
    (environment,) = [node for node in graph.nodes if node.kind == "environment"]
    assert environment.detail.startswith("python 3.")
    (folder,) = told.story.project.store_root.glob(f"blobs/*/{environment.id.removeprefix('environment:')}")
    folder.unlink()
    (environment,) = [node for node in trace(told.story.project, "boston@1").nodes if node.kind == "environment"]
    assert environment.detail.startswith("cannot be read: ")


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


def test_many_writes_without_a_run_are_one_node(told) -> None:
    """Ten thousand are not ten thousand nodes."""
    log = told.story.table.root / "_delta_log"
    for version in range(3, 1500):  # as another writer would; each but a note
        info = {"timestamp": version, "operation": "SET TBLPROPERTIES"}
        (log / f"{version:020d}.json").write_bytes(encode({"commitInfo": info}))
    assert shape(trace(told.story.project, "housing@1499")) == [
        "table housing@1499",
        ["table housing@499…1498", ["table housing@498", ["table housing@3…497", shape(trace_two(told))]]],
    ]


def trace_two(told) -> Graph:
    return trace(told.story.project, "housing@2")


def test_an_append_by_a_run_keeps_what_was_there(told) -> None:
    """The run read a file only; the version holds the rows of the one before all the same."""
    project, root = told.story.project, told.story.table.root
    content = FileRef(path="more.csv", sha256=digest(b"more"), bytes=4)
    recorder = begin_run(project, capture(project), kind="program", name="append", inputs=[content])
    told.story.append(8)
    pin = project.store.blobs.put(b"a pin")
    location = project.locate(root)
    recorder.log_output(TableRef(table="housing", location=location, version=3, pin=pin, rows=3))
    recorder.seal("finished")
    graph = trace(project, "housing@3")
    assert sources(graph, "housing@3") == [f"{short(recorder.id)}: wrote", "housing@2: kept"]
    write_deltalake(root, pa.table({"ID": [1]}), mode="overwrite", schema_mode="overwrite")
    again = begin_run(project, capture(project), kind="program", name="replace", inputs=[content])
    again.log_output(TableRef(table="housing", location=location, version=4, pin=pin, rows=3))
    again.seal("finished")
    assert sources(trace(project, "housing@4"), "housing@4") == [f"{short(again.id)}: wrote"]


def test_what_a_rerun_wrote_lay_elsewhere(told) -> None:
    project = told.story.project
    told.story.append(8)
    options = {"kind": "program", "name": "again", "parent": told.runs["first"]}
    recorder = begin_run(project, capture(project), **options)
    location = project.locate(told.story.table.root)
    pin = project.store.blobs.put(b"a pin")
    recorder.log_output(TableRef(table="housing", location=location, version=3, pin=pin, rows=3))
    recorder.seal("finished")
    assert sources(trace(project, "housing@3"), "housing@3") == ["housing@2: kept"]
    assert find(trace(project, recorder.id), short(recorder.id)).detail.endswith(
        f"a re-run of {short(told.runs['first'])}"
    )


# --- columns ----------------------------------------------------------------------------------------------------------


def test_a_column_comes_from_those_that_wrote_its_cells(told) -> None:
    project = told.story.project
    graph = trace(project, "housing@1:guess")
    assert shape(graph) == [
        "column housing@1:guess",
        [
            predictions(told.runs["filled"]),
            ["table housing@0", run(importing(told))],
            ["model boston@1", [run(told.runs["first"]), "table housing@0…"]],
        ],
    ]
    assert sources(graph, "housing@1:guess") == [f"{short(told.runs['filled'])}: wrote 2 cells"]
    other = trace(project, "housing@1:rm")
    assert sources(other, "housing@1:rm") == [f"{short(importing(told))}: wrote 2 cells"]
    assert trace(project, "housing:rm") == trace(project, "column:housing@2:rm")
    with pytest.raises(NotFoundError, match="housing@2 has no column 'guess'"):
        trace(project, "housing:guess")


def test_a_write_without_a_run_is_named_by_its_version(told) -> None:
    told.story.append(8)
    graph = trace(told.story.project, "housing@3:rm")
    assert sources(graph, "housing@3:rm") == ["housing@3: wrote 1 cell", f"{short(importing(told))}: wrote 2 cells"]
    assert sources(graph, "housing@3") == []  # what was there before did not write these cells


def test_without_a_key_all_that_could_have_written_are_named(told) -> None:
    path = told.story.project.root / "lineage.toml"
    path.write_text(path.read_text().replace('key = [\n    "ID",\n]', "").replace('key = ["ID"]', ""))
    told.story.append(8)
    DeltaTable(told.story.table.root).optimize.compact()
    project = open_project(told.story.project.root)
    assert open_table(project, "housing").key == ()
    graph = trace(project, "housing@4:rm")
    assert sources(graph, "housing@4:rm") == [
        "housing@3: could have written",
        f"{short(importing(told))}: could have written",
    ]
    guess = trace(project, "housing@1:guess")
    assert sources(guess, "housing@1:guess") == [f"{short(told.runs['filled'])}: could have written"]


# --- files, digests, source -------------------------------------------------------------------------------------------


def test_a_file_comes_from_the_run_that_wrote_it(told) -> None:
    project = told.story.project
    first, second = (FileRef(path="data/x.csv", sha256=digest(text), bytes=1) for text in (b"1", b"2"))
    writer = begin_run(project, capture(project), kind="program", name="write")
    writer.log_output(first)
    writer.seal("finished")
    reader = begin_run(project, capture(project), kind="program", name="read", inputs=[first])
    reader.seal("finished")
    expected = ["file data/x.csv", run(writer.id)]
    assert shape(trace(project, "file:data/x.csv")) == expected
    assert shape(trace(project, f"sha256:{first.sha256[:8]}")) == expected
    assert shape(trace(project, "x.csv", folder=project.root / "data")) == expected
    assert shape(trace(project, reader.id)) == [run(reader.id), expected]
    later = begin_run(project, capture(project), kind="program", name="write again")
    later.log_output(second)
    later.seal("finished")
    both = trace(project, "data/x.csv")
    assert {short(writer.id), short(later.id)} < {node.name for node in both.nodes}
    assert sorted(e.how for e in both.edges if e.target == both.root) == ["one of its contents"] * 2
    with pytest.raises(NotFoundError, match="no run is known to have read or written the file"):
        trace(project, "file:housing.csv")
    with pytest.raises(UsageError, match="is no digest"):
        trace(project, "sha256:xyz")
    with pytest.raises(NotFoundError, match="nothing that is recorded has the content"):
        trace(project, f"sha256:{'0' * 64}")


def test_an_artifact_comes_from_its_run(told) -> None:
    first = told.runs["first"]
    graph = trace(told.story.project, f"runs:/{first}/model/model.skops")
    assert shape(graph) == ["file model/model.skops", shape(trace(told.story.project, first))]
    with pytest.raises(NotFoundError, match="has no artifact 'x'"):
        trace(told.story.project, f"runs:/{first}/x")


def test_a_source_is_named_by_a_run_or_by_its_digest(told) -> None:
    project = told.story.project
    graph = trace(project, f"source:{told.runs['first']}")
    assert [node.kind for node in graph.nodes] == ["source"]
    assert trace(project, f"source:{graph.nodes[0].name}") == graph == trace(project, "source:boston@1")
    assert trace(project, "environment:boston@1").nodes[0].kind == "environment"


def test_many_files_are_one_node(told) -> None:
    project = told.story.project
    many = [FileRef(path=f"images/{n}", sha256=digest(b"%d" % n), bytes=1) for n in range(MOST_FILES + 30)]
    recorder = begin_run(project, capture(project), kind="program", name="read", inputs=many)
    recorder.seal("finished")
    files = [node.name for node in trace(project, recorder.id).nodes if node.kind == "file"]
    assert files == [*(f"images/{n}" for n in range(MOST_FILES)), "30 more files"]


# --- what is gone -----------------------------------------------------------------------------------------------------


def test_a_commit_may_name_a_run_of_another_store(told) -> None:
    project = told.story.project
    (folder,) = project.store_root.glob(f"runs/*/{importing(told)}")
    shutil.rmtree(folder)
    graph = trace(project, "housing@0")
    gone = find(graph, short(importing(told)))
    assert (gone.kind, sources(graph, gone.name)) == ("run", [])
    assert "missing from the store" in gone.detail


def test_the_model_that_a_commit_names_stands_in_for_its_run(told) -> None:
    project = told.story.project
    (folder,) = project.store_root.glob(f"runs/*/{told.runs['filled']}")
    shutil.rmtree(folder)
    ways = sources(trace(project, "housing@1"), "housing@1")
    assert ways == [f"{short(told.runs['filled'])}: wrote", "boston@1: predicted", "housing@0: overwritten"]


def test_a_deleted_run_is_marked(told) -> None:
    project = told.story.project
    delete_runs(project, [importing(told)], now=datetime.now(UTC))
    detail = find(trace(project, "housing@0"), short(importing(told))).detail
    assert detail == "import, finished: housing.csv into housing, deleted"


def test_a_table_that_is_gone_stands_in_the_graph_with_the_reason(told) -> None:
    shutil.rmtree(told.story.table.root)
    graph = trace(told.story.project, "boston@1")
    assert "is not a Delta table" in find(graph, "housing@0").detail
    assert sources(graph, "housing@2") == []
    assert sources(trace(told.story.project, "housing@2"), "housing@2") == [f"{short(told.runs['restored'])}: wrote"]
    with pytest.raises(NotFoundError, match="not a Delta table"):
        trace(told.story.project, "housing")


def test_a_model_that_is_not_registered_here_stands_in_the_graph_with_the_reason(told) -> None:
    project = told.story.project
    foreign = ModelRef(model="elsewhere", version=3, sha256=project.store.blobs.put(b"a model"))
    recorder = begin_run(project, capture(project), kind="predict", name="x", inputs=[foreign])
    recorder.seal("finished")
    model = find(trace(project, recorder.id), "elsewhere@3")
    assert "there is no model 'elsewhere'" in model.detail


def test_versions_no_longer_in_the_log_are_told(told) -> None:
    story = told.story
    DeltaTable(story.table.root).create_checkpoint()
    for version in (0, 1):
        (story.table.root / "_delta_log" / f"{version:020d}.json").unlink()
    graph = trace(story.project, "boston@1")
    assert "no version 0" in find(graph, "housing@0").detail


# --- how far ----------------------------------------------------------------------------------------------------------


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


def test_depth_cuts_and_says_how_many_lie_behind(told) -> None:
    graph = trace(told.story.project, "boston@2", depth=2)
    assert shape(graph) == ["model boston@2", [run(told.runs["second"]), "table housing@1"]]
    assert graph.left_out == 1
    whole = trace(told.story.project, "boston@2", depth=50)
    assert (whole, whole.left_out) == (trace(told.story.project, "boston@2"), 0)


def test_a_graph_has_an_end(begun, find_model: FindModel) -> None:
    begun.train()
    project = begun.project
    kept = find_model(project, "boston@1").sha256
    many = [ModelRef(model="boston", version=number, sha256=kept) for number in range(1, MOST + 50)]
    recorder = begin_run(project, capture(project), kind="program", name="all", inputs=many)
    recorder.seal("finished")
    graph = trace(project, recorder.id)
    assert len(graph.nodes) == MOST
    assert graph.left_out >= 49
