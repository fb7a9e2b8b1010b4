"""The registry as a fold over events, checked against a plain model of it."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lin.errors import ConflictError, NotFoundError, StoreError, UsageError
from lin.events import Change, Delete, Receipt, Register, Stage
from lin.models.changes import promote, register_model
from lin.models.registry import STAGES, find_version, read_registry
from lin.project import Project
from lin.runs.record import begin_run, capture
from lin.runs.train import MODEL


@pytest.fixture
def finish_run(project: Project) -> Callable[..., str]:
    """Record a finished run with an artifact where the model lies; returns its id."""
    captured = capture(project)

    def finish(*, path: str = MODEL, status: str = "finished") -> str:
        recorder = begin_run(project, captured, kind="program", name="fit")
        recorder.log_artifact(b"a model", path)
        recorder.seal(status)  # type: ignore[arg-type]
        return recorder.id

    return finish


def test_versions_count_from_one_and_name_their_run(project: Project, finish_run: Callable[..., str]) -> None:
    ids = [finish_run(), finish_run()]
    assert [register_model(project, run, "boston").version for run in ids] == [1, 2]
    assert register_model(project, ids[0], "other").version == 1
    assert [v.run for v in read_registry(project.store)["boston"].versions] == ids


def test_promoting_archives_the_holder_in_one_event(project: Project, finish_run: Callable[..., str]) -> None:
    for _ in range(2):
        register_model(project, finish_run(), "boston")
    promote(project, "boston@1", "production")
    before = len(project.store.events.read())
    assert promote(project, "boston@2", "Production", reason="better").archived == [1]
    assert len(project.store.events.read()) == before + 1
    first, second = read_registry(project.store)["boston"].versions
    assert (first.stage, second.stage) == ("archived", "production")
    assert [(m.stage, m.reason) for m in first.history] == [("production", None), ("archived", "better")]


@pytest.mark.parametrize(
    ("reference", "version"),
    [
        ("boston@1", 1),
        ("boston@production", 1),
        ("boston@Staging", 2),
        ("boston@latest", 3),
        ("models:/boston/2", 2),
        ("models:/boston/Production", 1),
        ("model:boston@3", 3),
    ],
)
def test_a_version_is_found_as_in_mlflow(
    project: Project, finish_run: Callable[..., str], reference: str, version: int
) -> None:
    for _ in range(3):
        register_model(project, finish_run(), "boston")
    promote(project, "boston@1", "production")
    promote(project, "boston@2", "staging")
    assert find_version(read_registry(project.store), reference).version == version


def test_what_is_not_there_is_said_with_what_to_type(project: Project, finish_run: Callable[..., str]) -> None:
    run = finish_run()
    register_model(project, run, "boston")
    registry = read_registry(project.store)
    cases = [
        ("bostn@1", NotFoundError, "there is no model 'bostn'; registered: boston", "did you mean 'boston'?"),
        ("boston@2", NotFoundError, "model 'boston' has no version 2; it has 1", "lin show boston"),
        ("boston@0", NotFoundError, "model 'boston' has no version 0; it has 1", "lin show boston"),
        ("boston@production", NotFoundError, "no version of model 'boston' is in production", "lin show boston"),
        (
            "boston@prodution",
            UsageError,
            "'prodution' is neither a version, nor a stage, nor an alias of model 'boston'",
            "did you mean 'production'?",
        ),
        ("boston", UsageError, "'boston' names no version of model 'boston'", "boston@1"),
    ]
    for reference, kind, message, hint in cases:
        with pytest.raises(kind) as caught:
            find_version(registry, reference)
        assert caught.value.message == message
        assert hint in (caught.value.hint or "")
    with pytest.raises(UsageError, match="'live' is not a stage"):
        promote(project, "boston@1", "live")
    with pytest.raises(UsageError, match="cannot name a model"):
        register_model(project, run, "../boston")


def test_only_a_finished_run_with_a_model_is_registered(project: Project, finish_run: Callable[..., str]) -> None:
    with pytest.raises(UsageError, match="it is failed"):
        register_model(project, finish_run(status="failed"), "boston")
    with pytest.raises(UsageError, match=r"it has no artifact model/model.skops"):
        register_model(project, finish_run(path="notes.txt"), "boston")
    with pytest.raises(NotFoundError, match="there is no run 'nope'"):
        register_model(project, "nope", "boston")
    assert project.store.events.read() == []


def test_a_deleted_run_is_not_registered(project: Project, finish_run: Callable[..., str]) -> None:
    run = finish_run()
    now = datetime(2026, 6, 24, tzinfo=UTC)
    project.store.events.append(lambda _: Delete(run=run), actor="ann", op_id="1", now=now)
    with pytest.raises(ConflictError, match="was deleted"):
        register_model(project, run, "boston")
    assert read_registry(project.store) == {}


@pytest.mark.parametrize(
    "change",
    [
        Register(model="boston", version=2, run="r", artifact=MODEL, sha256="0" * 64),
        Stage(model="boston", version=1, stage="production"),
    ],
)
def test_an_event_that_does_not_fit_is_damage(project: Project, change: Change) -> None:
    project.store.events.append(lambda _: change, actor="eve", op_id="1", now=datetime(2026, 6, 24, tzinfo=UTC))
    with pytest.raises(StoreError, match="event 1 of the store names a model version"):
        read_registry(project.store)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=st.lists(st.tuples(st.integers(min_value=1, max_value=3), st.sampled_from(STAGES)), max_size=12))
def test_the_fold_agrees_with_a_dict(
    project: Project, finish_run: Callable[..., str], moves: list[tuple[int, str]]
) -> None:
    name = f"m{len(project.store.events.read())}"
    run = finish_run()
    for _ in range(3):
        register_model(project, run, name)
    expected = dict.fromkeys((1, 2, 3), "none")
    for version, stage in moves:
        if stage in {"staging", "production"}:
            expected = {v: "archived" if s == stage and v != version else s for v, s in expected.items()}
        expected[version] = stage
        promote(project, f"{name}@{version}", stage)
    assert {v.version: v.stage for v in read_registry(project.store)[name].versions} == expected


def test_a_version_has_the_newest_verdict_of_a_rerun_without_changes(
    project: Project, finish_run: Callable[..., str]
) -> None:
    proven, other = finish_run(), finish_run()
    receipts = [
        Receipt(run=proven, rerun=other, verdict="different"),
        Receipt(run=proven, rerun=other, verdict="identical"),
        Receipt(run=proven, rerun=other, verdict="different", changed=["alpha 1 -> 2"]),
    ]
    for number, receipt in enumerate(receipts):  # before the registration, which does not matter
        now = datetime(2026, 6, 24, tzinfo=UTC)
        project.store.events.append(lambda _, receipt=receipt: receipt, actor="ann", op_id=str(number), now=now)
    register_model(project, proven, "boston")
    register_model(project, other, "boston")
    assert [v.proof for v in read_registry(project.store)["boston"].versions] == ["identical", None]
