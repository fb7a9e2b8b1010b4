"""Predictions in the data that a run read: found through later writes, gone with their cells, and never imagined."""

import dataclasses
import itertools
import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.config import TableSetting
from lin.data.attributed import find_attributed
from lin.data.history import VersionInfo
from lin.data.tables import Table, open_table
from lin.data.write import fill_column
from lin.errors import NotFoundError, OutsideError
from lin.models.changes import register_model
from lin.project import Project, create_project, open_project
from lin.records import FileRef, Fit, Input, ModelRef, PredictedInput, TableRef, digest
from lin.runs.add import add_table
from lin.runs.execute import run_command
from lin.runs.feedback import (
    UNKNOWN_TAG,
    Feedback,
    WrittenBack,
    find_feedback,
    find_in_tables,
    find_predicted,
    find_written_back,
    look_back,
    recall,
    tell_recorded,
    tell_written_back,
    walk_back,
)
from lin.runs.fit import MODEL
from lin.runs.index import open_index
from lin.runs.query import RunInfo, read_each, read_run
from lin.runs.record import begin_run, capture
from lin.runs.restore import restore_table
from lin.runs.writes import pin_input, record_write

FIT = Fit(estimator=["sklearn.linear_model.Ridge"], target="medv", exclude=["ID"])


class Story:
    """A project with the table `housing`: two of its four houses have no value."""

    def __init__(self, root: Path) -> None:
        self.project = dataclasses.replace(open_project(root), actor="ann")
        self.captured = capture(self.project)

    @property
    def table(self) -> Table:
        return open_table(self.project, "housing")

    @property
    def head(self) -> TableRef:
        return pin_input(self.project, self.table)[1]

    def train(self, name: str | None = None) -> RunInfo:
        """A fit on the newest version, recorded by hand, and registered as the next version of `name`."""
        read = self.head
        recorder = begin_run(self.project, self.captured, kind="train", name="Ridge", fit=FIT, inputs=[read])
        recorder.log_artifact(recorder.id.encode(), MODEL)
        predicted = find_predicted(self.project, [read], fit=FIT, features=["rm"])
        recorder.seal("finished", features=["rm"], predicted=predicted)
        if name is not None:
            register_model(self.project, recorder.id, name)
        return read_run(self.project.store, recorder.id)

    def fill(self, column: str = "medv", model: str = "boston@1", *, params: bool = True) -> str:
        """Predictions of a model version, in the rows without a value; returns the run's id."""
        base = self.table.log.snapshot()
        rows = sum(file.rows or 0 for file in base.files)
        values = pa.array(([None, 21.5, None, 22.5] + [None] * rows)[:rows] if column == "medv" else [1.0] * rows)
        name, version = model.split("@")
        used = ModelRef(model=name, version=int(version), sha256=self.project.store.blobs.put(model.encode()))
        run, _ = record_write(
            self.project,
            self.table,
            lambda by: fill_column(self.table, base, column, values, by, now_ms=0),
            kind="predict",
            name=f"{model} into housing.{column}",
            reason="filled",
            inputs=[self.head, used],
            params={"column": column, "rows": 2 if column == "medv" else rows} if params else {},
            model=model,
        )
        return run

    def restore(self, version: int) -> None:
        assert restore_table(self.project, self.table, version).run is not None

    def append(self, *numbers: int) -> None:
        """Somebody else's write, without lin."""
        write_deltalake(
            self.table.root, pa.table({"ID": numbers, "rm": [1.5] * len(numbers), "medv": [9.0] * len(numbers)}),
            mode="append",
        )  # fmt: skip

    def update(self, **values: str) -> None:
        where = values.pop("where")
        DeltaTable(self.table.root).update(values, predicate=where)

    def without_key(self) -> "Story":
        path = self.project.root / "lineage.toml"
        path.write_text(path.read_text().replace('key = [\n    "ID",\n]', "").replace('key = ["ID"]', ""))
        return Story(self.project.root)


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("feedback") / "project"
    root.mkdir()
    source = root.parent / "housing.csv"
    source.write_text("ID,rm,medv\n1,6.5,24.0\n2,7.25,\n3,5.5,20.0\n4,6.75,\n")
    project = dataclasses.replace(create_project(root, name="boston")[0], actor="ann")
    add_table(project, "housing", source, key=["ID"])
    return root


@pytest.fixture
def story(_template: Path, tmp_path: Path) -> Story:
    return Story(Path(shutil.copytree(_template, tmp_path / "story")))


# --- the story --------------------------------------------------------------------------------------------------------


def test_a_model_trained_on_predictions_is_told_with_cells_column_model_and_run(story: Story) -> None:
    assert story.train("boston").predicted == []
    run = story.fill()
    second = story.train("boston")
    expected = PredictedInput(
        table="housing", version=1, column="medv", written=1, model="boston@1", rows=2, role="target"
    )
    assert second.predicted == [expected]
    assert find_feedback(story.project, second) == [
        Feedback(table="housing", read=1, written=1, model="boston@1", run=run)
    ]
    assert tell_recorded(story.project, second) == [
        f"2 of 4 values of the target medv in housing@1 were written by boston@1 (housing@1, by ann, run {run[-8:]})"
    ]


def test_a_restore_takes_them_away_and_brings_them_back(story: Story) -> None:
    story.train("boston")
    story.fill()
    story.restore(0)
    assert (story.train().predicted, find_written_back(story.project, story.train())) == ([], [])
    story.restore(1)
    assert [(each.version, each.written, each.rows) for each in story.train().predicted] == [(3, 1, 2)]


def test_later_writes_do_not_hide_them_and_the_newest_come_first(story: Story) -> None:
    story.fill()
    story.append(9)
    story.fill("guess", "boston@2")
    DeltaTable(story.table.root).optimize.compact()
    found = find_predicted(story.project, [story.head], fit=FIT, features=["rm", "guess"])
    assert [(f.column, f.written, f.model, f.rows, f.role) for f in found] == [
        ("guess", 3, "boston@2", 5, "feature"),
        ("medv", 1, "boston@1", 2, "target"),
    ]


def test_cells_that_somebody_wrote_again_are_none_any_more(story: Story) -> None:
    story.fill()
    story.update(medv="30.0", where="ID = 2")
    (found,) = find_written_back(story.project, story.train())
    assert (found.cells, found.kept, found.role) == (2, 1, "target")
    story.update(medv="30.0", where="ID = 4")
    run = story.train()
    assert run.predicted == find_feedback(story.project, run) == []
    assert [each.kept for each in find_written_back(story.project, run)] == [0]


def test_a_column_that_is_not_used_is_recorded_and_no_reason_to_warn(story: Story) -> None:
    story.fill("guess")
    run = story.train()
    assert [(each.column, each.role) for each in run.predicted] == [("guess", "not used")]
    assert tell_recorded(story.project, run) == []


def test_without_a_key_the_count_holds_until_rows_are_taken_away(story: Story) -> None:
    story = story.without_key()
    story.fill()
    story.append(9)
    DeltaTable(story.table.root).optimize.compact()
    assert [each.rows for each in story.train().predicted] == [2]
    story.update(medv="30.0", where="ID = 2")
    run = story.train()
    assert [each.rows for each in run.predicted] == [None]
    (told,) = tell_recorded(story.project, run)
    assert told.endswith("; how many of them are still there is not known")


@pytest.mark.parametrize("keyed", [True, False])
def test_cells_are_compared_where_no_run_tells_them(story: Story, keyed: bool) -> None:
    story = story if keyed else story.without_key()
    story.fill(params=False)
    assert [(each.column, each.rows) for each in story.train().predicted] == [("medv", 2)]


def test_a_table_that_is_gone_is_an_error_and_for_a_run_a_tag(story: Story) -> None:
    story.fill()
    run, read = story.train(), story.head
    shutil.rmtree(story.table.root)
    with pytest.raises(NotFoundError, match="not a Delta table"):
        find_written_back(story.project, run)
    looked = look_back(story.project, [read])
    assert looked.found == []
    assert looked.tags[UNKNOWN_TAG].startswith("not known: ")
    assert str(story.project.root) not in looked.tags[UNKNOWN_TAG]
    assert looked.warnings()[0].startswith("whether a model wrote what is read is not known: ")
    assert [each.user for each in recall(story.project, run)] == [None]


# --- runs that used a model, whatever the commits say -----------------------------------------------------------------


def write_silently(story: Story, used: Input) -> str:
    """A run that used something, and wrote the newest version without a word about it in the commit."""
    recorder = begin_run(story.project, story.captured, kind="program", name="score.py", inputs=[used])
    story.update(medv="21.5", where="medv is null")
    recorder.log_output(story.head)
    recorder.seal("finished")
    return recorder.id


@pytest.mark.parametrize("indexed", [False, True])
def test_a_run_that_used_the_file_of_a_model_is_behind_what_it_wrote(story: Story, indexed: bool) -> None:
    model = story.train("boston")
    artifact = model.artifacts[0]
    run = write_silently(story, FileRef(path="boston.skops", sha256=artifact.sha256, bytes=artifact.bytes))
    if indexed:
        store = story.project.store
        assert store.index is not None
        assert open_index(store.index).extend(read_each(store, store.runs.ids(), []))
    after = story.train()
    assert [(each.model, each.written, each.rows) for each in after.predicted] == [("boston@1", 1, 2)]
    (told,) = tell_written_back(find_written_back(story.project, after), fit=FIT)
    assert f"were written by a run that used boston@1 (housing@1, run {run[-8:]})" in told


def test_a_run_that_a_commit_names_is_looked_at(story: Story) -> None:
    model = story.train("boston")
    used = ModelRef(model="boston", version=1, sha256=model.artifacts[0].sha256)
    base = story.table.log.snapshot()
    values = pa.array([None, 21.5, None, 22.5])
    run, _ = record_write(
        story.project,
        story.table,
        lambda by: fill_column(story.table, base, "medv", values, by, now_ms=0),
        kind="program",
        name="score.py",
        reason="scored",
        inputs=[used],
    )
    (found,) = find_written_back(story.project, story.train())
    assert (found.model, found.run, found.by_run, found.column, found.kept) == ("boston@1", run, True, "medv", 2)


def test_a_run_that_used_no_model_is_behind_nothing(story: Story) -> None:
    story.train("boston")
    write_silently(story, FileRef(path="notes.txt", sha256=digest(b"notes"), bytes=5))
    assert story.train().predicted == []


# --- programs ---------------------------------------------------------------------------------------------------------


def test_a_program_that_reads_them_has_them_in_its_record(story: Story) -> None:
    story.fill()
    program = f"from deltalake import DeltaTable; DeltaTable({str(story.table.root)!r}).to_pyarrow_table()"
    run_id, _ = run_command(story.project, [sys.executable, "-c", program], folder=story.project.root)
    run = read_run(story.project.store, run_id)
    assert [(each.column, each.rows, each.role) for each in run.predicted] == [("medv", 2, None)]
    assert "of the column medv in housing@1" in tell_recorded(story.project, run)[0]


def test_a_program_whose_table_cannot_be_asked_says_so(story: Story) -> None:
    story.append(9)
    recorder = begin_run(story.project, story.captured, kind="program", name="x", inputs=[story.head])
    (story.table.root / "_delta_log" / f"{0:020d}.json").write_bytes(b"")
    sealed = recorder.seal("finished")
    assert sealed.predicted == []
    assert sealed.tags[UNKNOWN_TAG].startswith("not known: table 'housing' is damaged")


# --- in words ---------------------------------------------------------------------------------------------------------


def back(column: str, kept: int | None = 3, **facts: Any) -> WrittenBack:
    found = WrittenBack(
        table="t", read=5, rows=10, written=2, model="m@1", run=None, user=None, time=None, column=column, cells=9,
        kept=kept, role=None,
    )  # fmt: skip
    return msgspec.structs.replace(found, **facts)


def test_columns_of_one_commit_and_role_are_told_together() -> None:
    features = ["a", "b", "c", "d"]
    found = [*(back(name, kept) for kept, name in enumerate(features, 1)), back("medv"), back("gone", 0), back("x")]
    assert tell_written_back(found, fit=FIT, features=features) == [
        "3 of 10 values of the target medv in t@5 were written by m@1 (t@2)",
        "up to 4 of 10 values of each of 4 features (a, b, c, …) in t@5 were written by m@1 (t@2)",
    ]
    assert tell_written_back([back("medv", None)], fit=FIT) == [
        "values of the target medv in t@5 were written by m@1 (t@2); how many of them are still there is not known"
    ]


# --- against brute force ----------------------------------------------------------------------------------------------


class History:
    """A table written at random, and every version of it as it was read right after."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.known: list[dict[int, dict[str, float | None]]] = []
        self.parents: dict[int, int] = {}
        self.fills: dict[int, str] = {}
        self._write([(0, 1.0, None), (1, 2.0, 5.0), (2, 3.0, None)], "error")
        self._look()

    def do(self, kind: str, number: int) -> None:
        table, head = DeltaTable(self.root), len(self.known) - 1
        now = self.known[head]
        model = CommitProperties(custom_metadata={"lin.model": "m@1"})
        match kind:
            case "append":
                self._write([(max(now, default=0) + 1, 1.0, None)], "append")
            case "merge":
                source = pa.table({"id": [number, 9 + head], "x": [1.0, 2.0], "y": [5.0, None]})
                merged = table.merge(source, "t.id = s.id", source_alias="s", target_alias="t")
                merged.when_matched_update_all().when_not_matched_insert_all().execute()
            case "update":
                table.update({"y": "5.0" if number % 2 else "null"}, predicate=f"id = {number}")
            case "delete":
                table.delete(f"id = {number}")
            case "overwrite":
                rows = [(key, row["x"], row["y"]) for key, row in now.items() if key != number]
                self._write(rows[::-1], "overwrite")
            case "compact":
                table.optimize.compact()
            case "restore" if head:
                table.restore(number % head)
            case "fill":
                table.update({"y": f"{100 + head}.0"}, predicate="y is null", commit_properties=model)
            case "feature":
                table.update({"x": f"{200 + head}.0"}, predicate=f"id = {number}", commit_properties=model)
        self._look(number % head if kind == "restore" and head else None, is_fill=kind in {"fill", "feature"})

    def left(self) -> Counter[tuple[int, str]]:
        """The cells that a fill was the last to write, by its version and the column."""
        head = len(self.known) - 1
        cells = ((self._writer(key, name), name) for key in self.known[head] for name in ("x", "y"))
        return Counter(cell for cell in cells if cell[0] in self.fills)

    def _writer(self, key: int, name: str) -> int:
        at = len(self.known) - 1
        while (before := self.parents.get(at, at - 1)) >= 0:
            if key not in self.known[before] or self.known[before][key][name] != self.known[at][key][name]:
                return at
            at = before
        return at

    def _write(self, rows: list[tuple[int, float, float | None]], mode: Any) -> None:
        names = ("id", "x", "y")
        types = (pa.int64(), pa.float64(), pa.float64())
        columns = {name: pa.array([row[n] for row in rows], types[n]) for n, name in enumerate(names)}
        write_deltalake(self.root, pa.table(columns), mode=mode)

    def _look(self, parent: int | None = None, *, is_fill: bool = False) -> None:
        for version in range(len(self.known), DeltaTable(self.root).version() + 1):
            content = DeltaTable(self.root, version=version).to_pyarrow_table().to_pylist()
            self.known.append({row.pop("id"): row for row in content})
            if parent is not None:
                self.parents[version] = parent
            if is_fill:
                self.fills[version] = "m@1"


KINDS = ["append", "merge", "update", "delete", "overwrite", "compact", "restore", "restore", "fill", "fill", "feature"]
OPERATIONS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 7)), max_size=9)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("shared")
    return create_project(root, name="shared")[0]


def find_in(project: Project, history: History, *, key: list[str]) -> list[PredictedInput]:
    config = msgspec.structs.replace(project.config, tables={"t": TableSetting(path=str(history.root), key=key)})
    head = len(history.known) - 1
    location = os.path.relpath(history.root.resolve(), project.store_root.resolve())
    read = TableRef(table="t", location=location, version=head, pin="", rows=len(history.known[head]))
    fit = msgspec.structs.replace(FIT, target="y")
    return find_predicted(dataclasses.replace(project, config=config), [read], fit=fit, features=["x"])


@settings(max_examples=25, deadline=None)
@given(operations=OPERATIONS)
def test_predicted_cells_are_found_if_and_only_if_they_are_still_there(
    shared: Project, operations: list[tuple[str, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder) / "t")
        for operation in operations:
            history.do(*operation)
        expected = history.left()
        found = find_in(shared, history, key=["id"])
        assert {(each.written, each.column): each.rows for each in found} == expected
        assert {each.role for each in found} <= {"target", "feature"}
        loose = {(each.written, each.column): each.rows for each in find_in(shared, history, key=[])}
        assert loose.keys() >= expected.keys()
        assert all(rows is None or rows == expected[place] for place, rows in loose.items())


@settings(max_examples=15, deadline=None)
@given(operations=st.lists(st.tuples(st.sampled_from(KINDS[:8]), st.integers(0, 7)), max_size=9))
def test_a_table_that_no_model_wrote_raises_no_alarm(shared: Project, operations: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder) / "t")
        for operation in operations:
            history.do(*operation)
        assert find_in(shared, history, key=["id"]) == find_in(shared, history, key=[]) == []


# --- the commits that name a model ------------------------------------------------------------------------------------


def test_commits_are_found_by_their_bytes_up_to_a_version(story: Story) -> None:
    story.fill()
    story.append(9)
    story.fill("guess", "boston@2")
    log = story.table.log
    assert [(e.version, e.model) for e in find_attributed(log, 3)] == [(1, "boston@1"), (3, "boston@2")]
    assert [e.version for e in find_attributed(log, 2)] == [1]
    assert find_attributed(log, 0) == []


def test_a_commit_that_is_no_regular_file_is_refused(story: Story) -> None:
    story.append(9)
    commit = story.table.log.folder / f"{0:020d}.json"
    commit.rename(commit.with_suffix(".moved"))
    commit.symlink_to(commit.with_suffix(".moved"))
    with pytest.raises(OutsideError, match="symbolic link"):
        find_attributed(story.table.log, 1)


def test_a_name_that_only_looks_like_attribution_is_none(story: Story) -> None:
    write_deltalake(
        story.table.root,
        pa.table({"ID": [9], "rm": [1.0], "medv": [1.0]}),
        mode="append",
        commit_properties=CommitProperties(custom_metadata={"note": '"lin.model":"boston@1"'}),
    )
    assert find_attributed(story.table.log, 1) == []


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


def test_a_log_that_restores_itself_is_compared_and_not_believed(story: Story) -> None:
    story.fill()
    story.restore(0)
    path = story.table.root / "_delta_log" / f"{2:020d}.json"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        if "commitInfo" in line:
            line["commitInfo"]["operationParameters"]["version"] = 2
    path.write_text("\n".join(json.dumps(line) for line in lines))
    assert find_in_tables(story.project, [story.head]) == []
