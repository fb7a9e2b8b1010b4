"""What of the registry is meant: a version by number, stage, alias or `latest`, now or at a past moment."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from lin.errors import NotFoundError, UsageError
from lin.events import Change, Receipt, Register, Stage
from lin.models.changes import append_change
from lin.models.registry import find_version, list_versions, read_events, read_receipts, read_registry, split_reference
from lin.models.talk import set_alias
from lin.project import Project
from lin.runs.train import MODEL

DAY = datetime(2026, 6, 24, tzinfo=UTC)
HOUR = timedelta(hours=1)

Append = Callable[..., None]


@pytest.fixture
def append(project: Project) -> Append:
    """Appends a change as of so many hours after `DAY`."""

    def append_then(change: Change, hours: float = 0.0) -> None:
        op_id = str(len(project.store.events.read()))
        project.store.events.append(lambda _: change, actor="ann", op_id=op_id, now=DAY + hours * HOUR)

    return append_then


@pytest.fixture
def registered(project: Project, append: Append) -> Project:
    """Three versions of `boston`: 1 in production, 2 in staging, and 3 the champion."""
    for number in (1, 2, 3):
        append(Register(model="boston", version=number, run=f"run {number}", artifact=MODEL, sha256="0" * 64))
    append(Stage(model="boston", version=1, stage="production"))
    append(Stage(model="boston", version=2, stage="staging"))
    set_alias(project, "boston@3", "Champion")
    return project


@pytest.mark.parametrize(
    ("reference", "version"),
    [
        ("boston@1", 1),
        ("boston@production", 1),
        ("boston@Staging", 2),
        ("boston@latest", 3),
        ("boston@Latest", 3),
        ("boston@Champion", 3),
        ("models:/boston@Champion", 3),
        ("models:/boston/Champion", 3),
        ("models:/boston/2", 2),
        ("models:/boston/Production", 1),
        ("model:boston@3", 3),
    ],
)
def test_a_version_is_found_as_in_mlflow(registered: Project, reference: str, version: int) -> None:
    assert find_version(read_registry(registered.store), reference).version == version


@pytest.mark.parametrize(
    ("reference", "kind", "message", "hint"),
    [
        ("bostn@1", NotFoundError, "there is no model 'bostn'; registered: boston", "did you mean 'boston'?"),
        ("boston@4", NotFoundError, "model 'boston' has no version 4; it has 3", "lin show boston"),
        ("boston@0", NotFoundError, "model 'boston' has no version 0; it has 3", "lin show boston"),
        ("boston@" + "9" * 99, NotFoundError, f"model 'boston' has no version {'9' * 99}; it has 3", "lin show boston"),
        ("boston@archived", NotFoundError, "no version of model 'boston' is in archived", "lin show boston"),
        (
            "boston@prodution",
            UsageError,
            "'prodution' is neither a version, nor a stage, nor an alias of model 'boston'",
            "did you mean 'production'?",
        ),
        (
            "boston@champion",
            UsageError,
            "'champion' is neither a version, nor a stage, nor an alias of model 'boston'",
            "did you mean 'Champion'?",
        ),
        ("boston", UsageError, "'boston' names no version of model 'boston'", "boston@staging"),
    ],
)
def test_what_is_not_there_is_said_with_what_to_type(
    registered: Project, reference: str, kind: type[NotFoundError | UsageError], message: str, hint: str
) -> None:
    with pytest.raises(kind) as caught:
        find_version(read_registry(registered.store), reference)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_reference_is_a_name_and_perhaps_a_version() -> None:
    for reference in ("boston", "model:boston", "models:/boston", "boston@", "models:/boston/"):
        assert split_reference(reference) == ("boston", None)
    for reference in ("boston@3", "model:boston@3", "models:/boston/3", "models:/boston@3"):
        assert split_reference(reference) == ("boston", "3")


def test_versions_are_listed_by_name_and_number_and_by_stage(registered: Project, append: Append) -> None:
    append(Register(model="a", version=1, run="r", artifact=MODEL, sha256="0" * 64))
    registry = read_registry(registered.store)
    assert [v.reference for v in list_versions(registry)] == ["a@1", "boston@1", "boston@2", "boston@3"]
    assert [v.reference for v in list_versions(registry, stage="none")] == ["a@1", "boston@3"]


def test_the_past_ends_where_the_first_later_event_is(project: Project, append: Append) -> None:
    """A clock that went back between two events takes none of them out of its place."""
    for number, hours in ((1, 1.0), (2, 3.0), (3, 2.0), (4, 4.0)):
        append(Register(model="m", version=number, run="r", artifact=MODEL, sha256="0" * 64), hours)

    def versions_at(hours: float) -> int:
        return len(read_events(project.store, as_of=DAY + hours * HOUR))

    assert [versions_at(hours) for hours in (0.9, 1, 2, 2.9, 3, 3.9, 4, 99)] == [0, 1, 1, 1, 3, 3, 4, 4]
    assert len(read_events(project.store)) == 4
    assert read_registry(project.store, as_of=DAY) == {}


def test_receipts_until_a_moment(project: Project, append: Append) -> None:
    for hours, verdict in ((1, "identical"), (2, "different")):
        append(Receipt(run="r", rerun="x", verdict=verdict), hours)  # type: ignore[arg-type]
    append(Receipt(run="other", rerun="x", verdict="identical"), 3)
    assert [receipt.verdict for receipt in read_receipts(project.store, "r")] == ["identical", "different"]
    assert [r.verdict for r in read_receipts(project.store, "r", as_of=DAY + HOUR)] == ["identical"]


def test_nothing_is_asked_of_git_to_read(registered: Project) -> None:
    fresh = type(registered)(
        registered.root, registered.config, registered.store, registered.store_root, registered.actor
    )
    find_version(read_registry(fresh.store), "boston@Champion")
    assert "email" not in vars(fresh)
    append_change(fresh, lambda _: Stage(model="boston", version=1, stage="archived"))
    assert "email" in vars(fresh)
