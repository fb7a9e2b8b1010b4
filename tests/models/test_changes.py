"""Registering and promoting: what makes a version, what lets it move, and that no change is lost or done twice."""

import dataclasses
import json
import multiprocessing
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lin.errors import ConflictError, LinError, NotFoundError, RefusedError, StoreError, UsageError
from lin.events import Alias, Delete, Gate, Receipt, Refuse, Register, Stage, Tag
from lin.models.changes import append_change, promote, register_model
from lin.models.fold import Model, ModelVersion, fold_events
from lin.models.registry import read_registry
from lin.models.talk import grant, set_alias, set_tag
from lin.project import Project, open_project
from lin.runs.fit import PICKLED_MODEL
from lin.runs.query import find_run
from lin.runs.record import begin_run, capture
from lin.runs.train import MODEL

FinishRun = Callable[..., str]


@pytest.fixture
def finish_run(project: Project) -> FinishRun:
    """Record a finished run with an artifact where the model lies; returns its id."""
    captured = capture(project)

    def finish(*, path: str = MODEL, status: str = "finished") -> str:
        recorder = begin_run(project, captured, kind="program", name="fit")
        recorder.log_artifact(b"a model", path)
        recorder.seal(status)  # type: ignore[arg-type]
        return recorder.id

    return finish


@pytest.fixture
def registered(project: Project) -> Project:
    """Three versions of `boston`, by ann."""
    for number in (1, 2, 3):
        register = Register(model="boston", version=number, run=f"run {number}", artifact=MODEL, sha256="0" * 64)
        append_change(project, lambda _, register=register: register)
    return project


def acting(project: Project, actor: str) -> Project:
    return dataclasses.replace(project, actor=actor)


def stages(project: Project) -> list[str]:
    return [version.stage for version in read_registry(project.store)["boston"].versions]


# --- registering ------------------------------------------------------------------------------------------------------


def test_versions_count_from_one_and_name_their_run(project: Project, finish_run: FinishRun) -> None:
    ids = [finish_run(), finish_run()]
    assert [register_model(project, run, "boston").version for run in ids] == [1, 2]
    assert register_model(project, ids[0], "other").version == 1
    assert [v.run for v in read_registry(project.store)["boston"].versions] == ids


def test_only_a_finished_run_with_a_model_is_registered(project: Project, finish_run: FinishRun) -> None:
    with pytest.raises(UsageError, match="it is failed"):
        register_model(project, finish_run(status="failed"), "boston")
    with pytest.raises(UsageError, match=r"it has no artifact model/model.skops"):
        register_model(project, finish_run(path="notes.txt"), "boston")
    with pytest.raises(NotFoundError, match="there is no run 'nope'"):
        register_model(project, "nope", "boston")
    with pytest.raises(UsageError, match="cannot name a model"):
        register_model(project, finish_run(), "../boston")
    with pytest.raises(UsageError, match=r"the description holds the control character '\\x1b'"):
        register_model(project, finish_run(), "boston", description="\x1b[2J")
    assert not project.store.events.read()


def test_a_model_whose_file_was_altered_is_not_registered(project: Project, finish_run: FinishRun) -> None:
    run = find_run(project.store, finish_run())
    artifact = run.artifact(MODEL)
    assert artifact is not None
    blob = project.store_root / "blobs" / artifact.sha256[:2] / artifact.sha256
    blob.chmod(0o600)
    blob.write_bytes(b"x" * artifact.bytes)
    with pytest.raises(StoreError, match="is damaged: its content does not have that sha256"):
        register_model(project, run.id, "boston")
    assert read_registry(project.store) == {}


def test_a_pickled_model_is_registered_as_unsafe(project: Project, finish_run: FinishRun) -> None:
    version = register_model(project, finish_run(path=PICKLED_MODEL), "boston")
    assert (version.artifact, version.unsafe) == (PICKLED_MODEL, True)
    assert not register_model(project, finish_run(), "boston").unsafe


def test_a_deleted_run_is_not_registered(project: Project, finish_run: FinishRun) -> None:
    run = finish_run()
    now = datetime(2026, 6, 24, tzinfo=UTC)
    project.store.events.append(lambda _: Delete(run=run), actor="ann", op_id="1", now=now)
    with pytest.raises(ConflictError, match="was deleted"):
        register_model(project, run, "boston")
    assert read_registry(project.store) == {}


def test_everybody_registers_whoever_owns_the_model(project: Project, finish_run: FinishRun) -> None:
    register_model(project, finish_run(), "boston")
    grant(project, "boston", "ann", "owner")
    assert register_model(acting(project, "eve"), finish_run(), "boston").actor == "eve"


# --- who acts ---------------------------------------------------------------------------------------------------------


def test_an_event_names_who_git_says_acts(registered: Project) -> None:
    import subprocess

    subprocess.run(["git", "init", "-q"], cwd=registered.root, check=True)
    subprocess.run(["git", "config", "user.email", "ann@example.com"], cwd=registered.root, check=True)
    set_tag(open_project(registered.root), "boston", "k", "v")
    events = registered.store.events.read()
    assert [event.email for event in events] == [None, None, None, "ann@example.com"]


@pytest.mark.parametrize("actor", ["", "\udcff", "a\nb", "x" * 129])
def test_nobody_of_such_a_name_changes_anything(registered: Project, actor: str) -> None:
    before = len(registered.store.events.read())
    with pytest.raises(UsageError, match="cannot name who acts: see LIN_ACTOR"):
        promote(acting(registered, actor), "boston@1", "production")
    assert len(registered.store.events.read()) == before


# --- promoting --------------------------------------------------------------------------------------------------------


def test_promoting_archives_the_holder_in_one_event(registered: Project) -> None:
    promote(registered, "boston@1", "production")
    before = len(registered.store.events.read())
    assert promote(registered, "boston@2", "Production", reason="better").archived == [1]
    assert len(registered.store.events.read()) == before + 1
    first, second, _ = read_registry(registered.store)["boston"].versions
    assert (first.stage, second.stage) == ("archived", "production")
    assert [(m.stage, m.reason) for m in first.history] == [("production", None), ("archived", "better")]


def test_what_cannot_be_promoted(registered: Project) -> None:
    before = [*registered.store.events.read()]
    for reference, stage, force, reason, says in (
        ("boston@1", "live", False, None, "'live' is not a stage"),
        ("boston@1", "production", True, None, "forced without a reason"),
        ("boston@1", "production", True, " ", "the reason is blank"),
        ("boston@1", "production", False, "x" * 10_001, "the reason is 10001 characters long"),
        ("boston@4", "production", False, None, "has no version 4"),
    ):
        with pytest.raises(LinError, match=says):
            promote(registered, reference, stage, force=force, reason=reason)
    assert [*registered.store.events.read()] == before


def with_stages(project: Project, *names: str) -> Project:
    path = project.root / "lineage.toml"
    path.write_text(path.read_text().replace("[project]", f"[project]\nstages = {json.dumps(names)}"))
    return open_project(project.root)


def test_a_project_may_have_stages_of_its_own(registered: Project) -> None:
    project = with_stages(registered, "canary")
    promote(project, "boston@1", "canary")
    assert promote(project, "boston@2", "Canary").archived == [1]
    assert stages(project) == ["archived", "canary", "none"]


def test_a_stage_that_an_alias_hides_takes_nobody(registered: Project) -> None:
    set_alias(registered, "boston@3", "canary")
    with pytest.raises(UsageError, match="'canary' is an alias of model 'boston', and boston@canary means that"):
        promote(with_stages(registered, "canary"), "boston@1", "canary")


def judge(*, passed: bool, meanwhile: Callable[[], object] = lambda: None) -> tuple[list[str], Callable[..., object]]:
    """A judge with one gate; what it was asked; `meanwhile` happens while it looks for the first time."""
    asked: list[str] = []

    def look(model: Model, version: ModelVersion, stage: str) -> list[Gate]:
        asked.append(f"{model.name}@{version.version} to {stage}")
        if len(asked) == 1:
            meanwhile()
        return [Gate(gate="metrics.rmse < 6", passed=passed, evidence="it is 5" if passed else "it is 7")]

    return asked, look


def test_gates_that_pass_stand_in_the_event(registered: Project) -> None:
    asked, look = judge(passed=True)
    done = promote(registered, "boston@2", "production", judge=look)  # type: ignore[arg-type]
    assert (asked, done.refused, done.forced) == (["boston@2 to production"], False, False)
    change = registered.store.events.read()[-1].change
    assert isinstance(change, Stage)
    assert change.gates == done.gates
    assert [(gate.passed, gate.evidence) for gate in done.gates] == [(True, "it is 5")]


def test_a_gate_that_does_not_pass_refuses_and_that_is_the_event(registered: Project) -> None:
    _, look = judge(passed=False)
    done = promote(registered, "boston@2", "production", judge=look)  # type: ignore[arg-type]
    assert (done.refused, done.archived, stages(registered)) == (True, [], ["none"] * 3)
    change = registered.store.events.read()[-1].change
    assert isinstance(change, Refuse)
    assert (change.version, change.action, change.why, change.gates) == (
        2,
        "move boston@2 to production",
        "not passed: metrics.rmse < 6",
        done.gates,
    )


def test_it_can_be_forced_by_an_owner_and_that_stays_visible(registered: Project) -> None:
    _, look = judge(passed=False)
    grant(registered, "boston", "ann", "owner")
    grant(registered, "boston", "bob", "promoter")
    with pytest.raises(RefusedError, match="bob may not force boston@2 to production: that takes the role owner"):
        promote(acting(registered, "bob"), "boston@2", "production", judge=look, force=True, reason="now")  # type: ignore[arg-type]
    done = promote(registered, "boston@2", "production", judge=look, force=True, reason="now")  # type: ignore[arg-type]
    assert (done.refused, done.forced) == (False, True)
    (move,) = read_registry(registered.store)["boston"].versions[1].history
    assert (move.forced, move.reason, move.gates) == (True, "now", done.gates)
    _, look = judge(passed=True)
    promote(registered, "boston@3", "production", judge=look, force=True, reason="now")  # type: ignore[arg-type]
    assert not read_registry(registered.store)["boston"].versions[2].history[0].forced  # nothing stood in the way


def test_whoever_lacks_the_role_is_refused_before_any_gate_and_that_is_kept(registered: Project) -> None:
    grant(registered, "boston", "ann", "owner")
    asked, look = judge(passed=True)
    with pytest.raises(RefusedError, match="eve may not move boston@2 to production: that takes the role promoter"):
        promote(acting(registered, "eve"), "boston@2", "production", judge=look)  # type: ignore[arg-type]
    assert asked == []
    (refusal,) = read_registry(registered.store)["boston"].refusals
    assert (refusal.actor, refusal.version, refusal.action) == ("eve", 2, "move boston@2 to production")
    assert stages(registered) == ["none"] * 3


@pytest.mark.parametrize(
    ("change", "looks"),
    [
        (Tag(model="boston", key="k", value="v"), 2),
        (Receipt(run="run 2", rerun="x", verdict="different"), 2),
        (Receipt(run="run 1", rerun="x", verdict="different"), 1),
        (Register(model="other", version=1, run="x", artifact=MODEL, sha256="0" * 64), 1),
    ],
    ids=["the model", "its run", "another run", "another model"],
)
def test_gates_are_looked_at_again_if_something_about_the_model_changed(
    registered: Project, change: Tag | Receipt | Register, looks: int
) -> None:
    other = open_project(registered.root)
    asked, look = judge(passed=True, meanwhile=lambda: append_change(other, lambda _: change))
    promote(registered, "boston@2", "production", judge=look)  # type: ignore[arg-type]
    assert len(asked) == looks
    assert stages(registered) == ["none", "production", "none"]


def test_a_role_taken_away_while_gates_are_looked_at_is_gone(registered: Project) -> None:
    grant(registered, "boston", "ann", "owner")
    grant(registered, "boston", "bob", "promoter")
    _, look = judge(passed=True, meanwhile=lambda: grant(open_project(registered.root), "boston", "bob", None))
    with pytest.raises(RefusedError, match="bob is reader"):
        promote(acting(registered, "bob"), "boston@2", "production", judge=look)  # type: ignore[arg-type]
    assert stages(registered) == ["none"] * 3


# --- several at once --------------------------------------------------------------------------------------------------

STEPS = 25


def _change_much(root: Path, name: str, answers: Path) -> None:
    """Promotes, names and tags in turn; writes down what was acknowledged, with the number of its event if told."""
    project = dataclasses.replace(open_project(root), actor=name)
    said: list[tuple[str, int | None]] = []
    for step in range(STEPS):
        version = f"boston@{step % 3 + 1}"
        if step % 3 == 0:
            promote(project, version, ("production", "staging")[step % 2], reason=f"{name}-{step}")
            said.append((f"{name}-{step}", None))
        elif step % 3 == 1:
            said.append((f"{name}-{step}", set_alias(project, version, f"{name}-{step}").event))
        else:
            said.append((f"{name}-{step}", set_tag(project, "boston", "last", f"{name}-{step}").event))
    answers.write_text(json.dumps(said))


def test_processes_that_change_a_model_at_once_lose_nothing(registered: Project, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    names = [f"p{number}" for number in range(4)]
    workers = [
        context.Process(target=_change_much, args=(registered.root, name, tmp_path / f"{name}.json")) for name in names
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    events = open_project(registered.root).store.events.read()
    assert [event.number for event in events] == list(range(1, 3 + 4 * STEPS + 1))
    words = {_word(event.change): event for event in events[3:]}
    for name in names:
        for word, number in json.loads((tmp_path / f"{name}.json").read_text()):
            assert words[word].actor == name
            assert number in {None, words[word].number}
    model = fold_events(events)["boston"]
    assert len(model.aliases) == 4 * len(range(1, STEPS, 3))
    for stage in ("production", "staging"):
        assert len([version for version in model.versions if version.stage == stage]) <= 1


def _word(change: object) -> str | None:
    match change:
        case Stage(reason=word) | Alias(alias=word) | Tag(value=word):
            return word
    return None
