"""What a reference means, what is ambiguous, and that no name reaches outside."""

from datetime import UTC, datetime, timedelta

import pytest

from lin.data.moments import show_moment
from lin.errors import LinError, NotFoundError, UsageError
from lin.events import Placed, Rollback
from lin.ids import short
from lin.lineage.references import TableAt, find_meant, find_pair, find_run_behind, list_holders, resolve
from lin.models.changes import append_change, promote
from lin.models.fold import Model, ModelVersion
from lin.models.registry import read_events, read_registry
from lin.models.talk import comment, drop_alias, set_alias
from lin.project import Project
from lin.runs.query import RunInfo
from lin.runs.record import begin_run, capture

HOSTILE = [
    "", "@", "@1", ":", "run:", "table:", "model:", "models:/", "../../etc/passwd", "../../etc/passwd@1",
    "housing@-1", "housing@1e3", "housing@" + "9" * 30, "housing@٣", "boston@../1", "boston@1@2", "models:/boston/1/2",
    "run:../../x", "run:" + "0" * 32, "a\0b", "housing\0@0", "\x1b[31m", "%2e%2e", "x" * 10_000, "housing@0 ",
]  # fmt: skip


@pytest.fixture
def promoted(told) -> Project:
    """The project of the story, with boston@2 in production."""
    promote(told.story.project, "boston@2", "production")
    return told.story.project


@pytest.mark.parametrize(
    ("reference", "version"),
    [("housing@0", 0), ("table:housing@2", 2), ("housing", None), ("table:housing", None)],
)
def test_tables(promoted: Project, reference: str, version: int | None) -> None:
    found = resolve(promoted, reference)
    assert isinstance(found, TableAt)
    assert (found.table.name, found.table.key, found.version) == ("housing", ("ID",), version)


@pytest.mark.parametrize(
    ("reference", "version"),
    [
        ("boston@1", 1),
        ("boston@production", 2),
        ("boston@Production", 2),
        ("boston@latest", 3),
        ("model:boston@3", 3),
        ("models:/boston/3", 3),
        ("models:/boston/Production", 2),
        ("models:/boston@1", 1),
    ],
)
def test_model_versions_and_the_runs_behind_them(told, promoted: Project, reference: str, version: int) -> None:
    found = resolve(promoted, reference)
    assert isinstance(found, ModelVersion)
    assert found.version == version
    assert find_run_behind(promoted, reference).id == found.run == told.runs[("first", "second", "third")[version - 1]]


@pytest.mark.parametrize(
    "reference", ["boston@champion", "model:boston@champion", "models:/boston@champion", "models:/boston/champion"]
)
def test_aliases(told, promoted: Project, reference: str) -> None:
    set_alias(promoted, "boston@3", "champion")
    found = resolve(promoted, reference)
    assert isinstance(found, ModelVersion)
    assert found.version == 3
    assert find_meant(promoted, reference).label == "boston@3"
    assert find_run_behind(promoted, reference).id == told.runs["third"]
    with pytest.raises(UsageError, match="neither a version, nor a stage, nor an alias"):
        resolve(promoted, "boston@Champion")


def test_what_a_model_and_its_versions_were_at_a_moment(told, promoted: Project) -> None:
    then = read_events(promoted.store)[-1].time
    begin = read_events(promoted.store)[0].time
    promote(promoted, "boston@3", "production")
    set_alias(promoted, "boston@3", "champion")
    comment(promoted, "boston", "later")
    told.story.train("later")
    for reference, version in (("boston@production", 2), ("models:/boston/Production", 2), ("boston@3", 3)):
        found = resolve(promoted, reference, as_of=then)
        assert isinstance(found, ModelVersion)
        assert (found.version, found.stage) == (version, "production" if version == 2 else "none")
    model = resolve(promoted, "boston", as_of=begin)
    assert isinstance(model, Model)
    assert (len(model.versions), model.comments) == (1, [])
    for reference, message, hint in (
        ("boston@3", "model 'boston' has no version 3; it has 1", "lin show boston"),
        ("boston@production", "no version of model 'boston' is in production", "lin show boston"),
        (
            "boston@champion",
            "'champion' is neither a version, nor a stage, nor an alias of model 'boston'",
            "there are: none, staging, production, archived, latest",
        ),
        ("later@1", "there is no model 'later'; registered: boston", "lin show later"),
        ("later", "there is no model 'later'; registered: boston", "lin show later"),
    ):
        with pytest.raises(NotFoundError) as caught:
            resolve(promoted, reference, as_of=begin)
        assert caught.value.message == f"at {show_moment(begin)}, {message}"
        assert caught.value.hint == hint


def test_tables_and_runs_are_what_they_are(told, promoted: Project) -> None:
    long_ago = datetime(2000, 1, 1, tzinfo=UTC)
    found = resolve(promoted, "housing@0", as_of=long_ago)
    assert isinstance(found, TableAt)
    assert resolve(promoted, told.runs["first"], as_of=long_ago) == resolve(promoted, told.runs["first"])


def test_a_model_without_a_version_is_all_of_them(promoted: Project) -> None:
    for reference in ("boston", "model:boston", "models:/boston"):
        found = resolve(promoted, reference)
        assert isinstance(found, Model)
        assert [v.version for v in found.versions] == [1, 2, 3]
        with pytest.raises(UsageError, match="names no version of model 'boston'") as caught:
            find_run_behind(promoted, reference)
        assert caught.value.hint == "boston@production"


def test_runs(told, promoted: Project) -> None:
    newest = told.runs["third"]
    for reference in (newest, short(newest), f"run:{short(newest)}", "last", "run:last", "run:Ridge alpha=0.1"):
        found = resolve(promoted, reference)
        assert isinstance(found, RunInfo)
        assert found.id == newest
        assert find_run_behind(promoted, reference) == found


def test_the_name_of_a_run_may_look_like_a_reference(told, promoted: Project) -> None:
    for name in ("boston@1 into housing.guess", "housing@0"):
        captured = capture(promoted)
        run = begin_run(promoted, captured, kind="program", name=name)
        run.seal("finished")
        for found in (resolve(promoted, f"run:{name}"), find_run_behind(promoted, f"run:{name}")):
            assert isinstance(found, RunInfo)
            assert found.id == run.id
    assert isinstance(resolve(promoted, "housing@0"), TableAt)
    assert told.runs["filled"] != run.id


def test_a_table_is_no_run(promoted: Project) -> None:
    for reference in ("housing", "housing@0", "table:housing", "table:housing@1"):
        with pytest.raises(UsageError, match="is a table, not a run or a model version"):
            find_run_behind(promoted, reference)


def test_one_name_for_a_table_and_a_model_must_be_settled(told) -> None:
    project = told.story.project
    run = told.story.train("housing")
    for reference in ("housing", "housing@1"):
        with pytest.raises(UsageError, match="'housing' is a table and a model") as caught:
            resolve(project, reference)
        assert caught.value.hint == f"table:{reference} or model:{reference}"
    assert isinstance(resolve(project, "table:housing@0"), TableAt)
    assert isinstance(resolve(project, "model:housing@1"), ModelVersion)
    assert isinstance(resolve(project, "models:/housing/1"), ModelVersion)
    assert find_run_behind(project, "housing@1").id == run.id  # only a model has a run behind it


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("nowhere", "there is no table, model or run 'nowhere'"),
        ("nowhere@1", "there is no table or model 'nowhere'"),
        ("table:nowhere", "there is no table 'nowhere'"),
        ("model:nowhere", "there is no model 'nowhere'"),
        ("run:nowhere", "there is no run 'nowhere'"),
        ("boston@4", "has no version 4"),
        ("boston@staging", "is in staging"),
    ],
)
def test_what_is_not_there(promoted: Project, reference: str, message: str) -> None:
    with pytest.raises(NotFoundError, match=message):
        resolve(promoted, reference)


@pytest.mark.parametrize("reference", HOSTILE)
def test_hostile_references_are_refused_in_words(promoted: Project, reference: str) -> None:
    for look in (resolve, find_run_behind):
        with pytest.raises(LinError) as caught:
            look(promoted, reference)
        assert isinstance(caught.value, NotFoundError | UsageError), caught.value


# --- then and now, before and after -----------------------------------------------------------------------------------


def versions(project: Project, *references: str, as_of: datetime | None = None) -> list[int | None]:
    pair = find_pair(project, references, as_of=as_of)
    assert all(meant.version is None or meant.run.id == meant.version.run for meant in pair)
    return [meant.version and meant.version.version for meant in pair]


def test_what_a_stage_meant_at_a_moment(told) -> None:
    project = told.story.project
    promote(project, "boston@1", "production")
    then = read_events(project.store)[-1].time
    promote(project, "boston@3", "production")
    assert versions(project, "boston@production", as_of=then) == [1, 3]
    assert versions(project, "boston@production", as_of=datetime.now(UTC)) == [3, 3]
    assert versions(project, "boston@2", as_of=then) == [2, 2]
    with pytest.raises(NotFoundError, match=r"^at \d{4}-.* UTC, no version of model 'boston' is in production"):
        versions(project, "boston@production", as_of=then - timedelta(microseconds=1))
    with pytest.raises(NotFoundError, match=r"^at .*there is no model 'boston'"):
        versions(project, "boston@production", as_of=datetime(2000, 1, 1, tzinfo=UTC))
    with pytest.raises(UsageError, match="is a run, which is always the same"):
        versions(project, "last", as_of=then)
    with pytest.raises(UsageError, match="--as-of is for one reference"):
        versions(project, "boston@1", "boston@2", as_of=then)


def test_the_past_is_a_fold_that_ends_there(told) -> None:
    store = told.story.project.store
    promote(told.story.project, "boston@2", "production")
    events = read_events(store)
    assert [read_events(store, as_of=event.time) for event in events] == [events[: at + 1] for at in range(len(events))]
    assert [version.stage for version in read_registry(store, as_of=events[-2].time)["boston"].versions] == ["none"] * 3


def test_what_came_before(told) -> None:
    project = told.story.project
    for holder in (1, 3, 1, 2):
        promote(project, f"boston@{holder}", "production")
    assert list_holders(read_events(project.store), "boston", "production") == [1, 3, 1, 2]
    assert versions(project, "boston@production") == [1, 2]
    assert versions(project, "models:/boston/Production") == [1, 2]
    assert versions(project, "boston@3") == [2, 3]
    assert versions(project, "boston@latest") == [2, 3]
    promote(project, "boston@2", "production")  # once more changes nobody's place
    assert versions(project, "boston@production") == [1, 2]


def test_before_an_alias_came_the_version_that_had_it(told) -> None:
    project = told.story.project
    set_alias(project, "boston@1", "champion")
    with pytest.raises(UsageError, match=r"^no version of 'boston' had the alias champion before boston@1$"):
        find_pair(project, ["boston@champion"])
    set_alias(project, "boston@3", "champion")
    set_alias(project, "boston@2", "other")
    assert versions(project, "boston@champion") == versions(project, "models:/boston@champion") == [1, 3]
    drop_alias(project, "boston", "champion")
    set_alias(project, "boston@3", "champion")  # the same again
    assert versions(project, "boston@champion") == [1, 3]
    back = Rollback(model="boston", aliases={"champion": 2, "other": None})
    append_change(project, lambda _: back)
    assert list_holders(read_events(project.store), "boston", "champion") == [1, 3, 2]
    assert versions(project, "boston@champion") == [3, 2]


def test_a_way_back_counts_as_a_move(told) -> None:
    project = told.story.project
    for version in (1, 2):
        promote(project, f"boston@{version}", "production")
    stages = [Placed(version=1, stage="production"), Placed(version=2, stage="archived")]
    append_change(project, lambda _: Rollback(model="boston", stages=stages))
    assert list_holders(read_events(project.store), "boston", "production") == [1, 2, 1]
    assert list_holders(read_events(project.store), "boston", "archived") == []
    assert versions(project, "boston@production") == [2, 1]


def test_before_a_re_run_comes_the_run_that_it_re_runs(told) -> None:
    project = told.story.project
    again = begin_run(project, capture(project), kind="train", name="again", parent=told.runs["first"])
    again.seal("finished")
    before, after = find_pair(project, [again.id])
    assert (before.run.id, after.run.id) == (told.runs["first"], again.id)
    with pytest.raises(UsageError, match="is no re-run"):
        find_pair(project, [told.runs["first"]])


def test_there_may_be_nothing_before(told) -> None:
    project = told.story.project
    with pytest.raises(UsageError, match=r"^no version came before boston@1$"):
        find_pair(project, ["boston@1"])
    promote(project, "boston@2", "staging")
    with pytest.raises(UsageError, match=r"^no version of 'boston' was in staging before boston@2$"):
        find_pair(project, ["boston@staging"])


def test_two_are_taken_as_they_are_named_and_no_more(told) -> None:
    project = told.story.project
    assert versions(project, "boston@3", told.runs["first"]) == [3, None]
    assert find_meant(project, "boston@3").run.id == told.runs["third"]
    with pytest.raises(UsageError, match="3 are named"):
        find_pair(project, ["boston@1", "boston@2", "boston@3"])
