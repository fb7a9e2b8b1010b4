"""Predictions in the data that a model was trained on: found through later writes, and gone after a restore."""

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.data.history import VersionInfo
from lin.errors import NotFoundError
from lin.lineage.feedback import Feedback, find_feedback, find_written_back, walk_back
from lin.models.fold import ModelVersion
from lin.project import Project
from lin.runs.query import read_run

FindModel = Callable[[Project, str], ModelVersion]


def feedback_of(told, name: str) -> list[Feedback]:
    project = told.story.project
    return find_feedback(project, read_run(project.store, told.runs[name]))


def test_a_model_trained_on_predictions_is_told_with_model_version_and_run(told) -> None:
    assert feedback_of(told, "first") == []
    assert feedback_of(told, "second") == [
        Feedback(table="housing", read=1, written=1, model="boston@1", run=told.runs["filled"])
    ]


def test_a_restore_takes_the_predictions_away(told) -> None:
    assert feedback_of(told, "third") == []


def test_a_restore_brings_them_back_too(told) -> None:
    told.story.restore(1)
    run = told.story.train()
    assert [(f.read, f.written) for f in find_feedback(told.story.project, run)] == [(3, 1)]


def test_later_writes_do_not_hide_them_and_the_newest_come_first(told, find_model: FindModel) -> None:
    story = told.story
    story.restore(1)  # version 3
    story.write_back(find_model(story.project, "boston@2"), "again")  # version 4
    story.append(9)  # version 5
    run = story.train()
    found = find_feedback(story.project, run)
    assert [(f.read, f.written, f.model) for f in found] == [(5, 4, "boston@2"), (5, 1, "boston@1")]


def test_a_run_that_read_nothing_has_none(told) -> None:
    project = told.story.project
    imported = next(commit.info["lin.run"] for commit in told.story.table.log.commits())
    assert find_feedback(project, read_run(project.store, imported)) == []


def test_a_table_that_is_gone_cannot_be_asked(told) -> None:
    import shutil

    shutil.rmtree(told.story.table.root)
    with pytest.raises(NotFoundError, match="not a Delta table"):
        feedback_of(told, "second")


# --- how much of it ---------------------------------------------------------------------------------------------------


def written_back(told, run: str):
    project = told.story.project
    return find_written_back(project, read_run(project.store, run))


def test_the_columns_and_cells_are_those_that_differ_where_no_record_tells_them(told) -> None:
    assert written_back(told, told.runs["first"]) == []
    (found,) = written_back(told, told.runs["second"])
    assert (found.table, found.read, found.written, found.model, found.user) == ("housing", 1, 1, "boston@1", "ann")
    assert (found.column, found.cells, found.kept, found.rows, found.role) == ("guess", 2, 2, 2, None)


def test_cells_that_were_written_again_are_no_longer_predictions(told) -> None:
    from deltalake import DeltaTable

    story = told.story
    story.restore(1)  # version 3
    DeltaTable(story.table.root).update({"guess": "99.0"}, predicate="ID = 1")  # version 4
    (found,) = written_back(told, story.train().id)
    assert (found.read, found.cells, found.kept) == (4, 2, 1)


def test_without_a_key_nobody_knows_how_many_are_left(told) -> None:
    story = told.story
    story.restore(1)
    story.append(9)
    path = story.project.root / "lineage.toml"
    path.write_text(path.read_text().replace('key = ["ID"]', "").replace('key = [\n    "ID",\n]', ""))
    told = told._replace(story=type(story)(story.project.root))
    (found,) = written_back(told, told.story.train().id)
    assert (found.cells, found.kept) == (2, None)


# --- the walk ---------------------------------------------------------------------------------------------------------


def entry(version: int, restored: int | None = None) -> VersionInfo:
    return VersionInfo(
        version=version,
        time=datetime(2026, 1, 1, tzinfo=UTC),
        operation="RESTORE" if restored is not None else "WRITE",
        user=None,
        run=None,
        model=None,
        reason=None,
        rows=None,
        files=None,
        files_added=0,
        files_removed=0,
        restored=restored,
    )


def walk(history: list[VersionInfo], version: int) -> list[int]:
    return [found.version for found in walk_back(history, version)]


def test_the_walk_jumps_over_what_a_restore_undid() -> None:
    history = [entry(0), entry(1), entry(2), entry(3, 1), entry(4), entry(5, 3)]
    assert walk(history, 2) == [2, 1, 0]
    assert walk(history, 4) == [4, 3, 1, 0]
    assert walk(history, 5) == [5, 3, 1, 0]
    assert walk(history[2:], 5) == [5, 3]  # the log begins later
    assert walk(history, 9) == []


@settings(max_examples=50, deadline=None)
@given(restored=st.lists(st.none() | st.integers(0, 12), max_size=12))
def test_the_walk_ends_and_goes_down_whatever_the_log_says(restored: list[int | None]) -> None:
    history = [entry(version, to) for version, to in enumerate(restored)]
    for start in range(len(history)):
        versions = walk(history, start)
        assert versions[0] == start
        assert versions == sorted(set(versions), reverse=True)
        assert versions[-1] == 0
        for above, below in itertools.pairwise(versions):
            to = restored[above]
            assert below == (to if to is not None and to < above else above - 1)


def test_a_log_that_restores_itself_does_not_hang(told) -> None:
    story = told.story
    path = story.table.root / "_delta_log" / f"{2:020d}.json"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        if "commitInfo" in line:
            line["commitInfo"]["operationParameters"]["version"] = 2
    path.write_text("\n".join(json.dumps(line) for line in lines))
    assert [(f.read, f.written) for f in feedback_of(told, "third")] == [(2, 1)]
