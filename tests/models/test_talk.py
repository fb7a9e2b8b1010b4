"""What people say about models, one event each; what is so already makes none, what may not be said is refused.

That all of it adds up, whatever comes after what, is the property in `test_fold.py`.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from lin.errors import ConflictError, LinError, NotFoundError, RefusedError, UsageError
from lin.events import Alias, Approve, Grant, Refuse, Register, Stage, Tag
from lin.models.changes import append_change
from lin.models.fold import Model
from lin.models.registry import read_registry
from lin.models.talk import approve, comment, describe, drop_alias, grant, set_alias, set_tag
from lin.project import Project, open_project
from lin.runs.train import MODEL

SAYINGS: dict[str, Callable[[Project], Any]] = {
    "set_alias": lambda project: set_alias(project, "boston@1", "champion"),
    "drop_alias": lambda project: drop_alias(project, "boston", "old"),
    "set_tag": lambda project: set_tag(project, "boston@1", "team", "risk"),
    "describe": lambda project: describe(project, "boston", "prices"),
    "approve": lambda project: approve(project, "boston@1"),
    "grant": lambda project: grant(project, "boston", "zoe", "owner"),
}


@pytest.fixture
def registered(project: Project) -> Project:
    """Three versions of `boston`, by ann; 3 is the old one."""
    for number in (1, 2, 3):
        register = Register(model="boston", version=number, run=f"run {number}", artifact=MODEL, sha256="0" * 64)
        append_change(project, lambda _, register=register: register)
    set_alias(project, "boston@3", "old")
    return project


def acting(project: Project, actor: str, email: str | None = None) -> Project:
    other = dataclasses.replace(project, actor=actor)
    vars(other)["email"] = email  # as if git had said so
    return other


def boston(project: Project) -> Model:
    return read_registry(project.store)["boston"]


def events(project: Project) -> int:
    return len(project.store.events.read())


# --- aliases ----------------------------------------------------------------------------------------------------------


def test_an_alias_moves_from_one_version_to_another(registered: Project) -> None:
    first = set_alias(registered, "boston@1", "champion", reason="the best")
    assert (first.change, first.before) == (
        Alias(model="boston", alias="champion", version=1, reason="the best"),
        None,
    )
    assert first.event == events(registered)
    second = set_alias(registered, "boston@latest", "champion")
    assert (second.before, boston(registered).aliases) == (1, {"champion": 3, "old": 3})
    assert boston(registered).versions[2].aliases == ["champion", "old"]
    assert set_alias(registered, "boston@champion", "champion").event is None  # it is so already


def test_an_alias_is_dropped_from_the_version_that_has_it(registered: Project) -> None:
    with pytest.raises(ConflictError, match="'old' is the alias of boston@3, not of boston@1") as caught:
        drop_alias(registered, "boston@1", "old")
    assert caught.value.hint == "lin alias boston old --drop"
    gone = drop_alias(registered, "boston@3", "old", reason="too old")
    assert (gone.before, gone.change) == (3, Alias(model="boston", alias="old", version=None, reason="too old"))
    assert boston(registered).aliases == {}
    assert drop_alias(registered, "boston", "old").event is None


@pytest.mark.parametrize(
    ("alias", "why"),
    [
        ("3", "it means a version"),
        ("007", "it means a version"),
        ("latest", "it means the newest version"),
        ("Latest", "it means the newest version"),
        ("production", "it means a stage"),
        ("None", "it means a stage"),
        ("canary", "it means a stage"),
        ("", "cannot name an alias"),
        ("../up", "cannot name an alias"),
        ("a b", "cannot name an alias"),
        ("a@b", "cannot name an alias"),
        ("\x1b[31m", "cannot name an alias"),
        ("٣", "cannot name an alias"),
        ("x" * 129, "cannot name an alias"),
    ],
)
def test_names_that_cannot_be_aliases(registered: Project, alias: str, why: str) -> None:
    path = registered.root / "lineage.toml"
    path.write_text(path.read_text().replace("[project]", '[project]\nstages = ["canary"]'))
    before = events(registered)
    with pytest.raises(UsageError, match=why):
        set_alias(open_project(registered.root), "boston@1", alias)
    assert events(registered) == before


def test_a_stage_that_the_project_had_once_is_no_alias(registered: Project) -> None:
    append_change(registered, lambda _: Stage(model="boston", version=1, stage="canary"))
    with pytest.raises(UsageError, match="'Canary' cannot be an alias: it means a stage"):
        set_alias(registered, "boston@2", "Canary")


# --- tags, descriptions, comments -------------------------------------------------------------------------------------


@pytest.mark.parametrize("reference", ["boston", "boston@2", "boston@old"])
def test_a_tag_of_a_model_or_a_version_is_set_changed_and_taken_away(registered: Project, reference: str) -> None:
    def tags() -> list[dict[str, str]]:
        model = boston(registered)
        return [model.tags, *(version.tags for version in model.versions)]

    number = {"boston": None, "boston@2": 2, "boston@old": 3}[reference]
    said = [set_tag(registered, reference, "team", value) for value in ("risk", "risk", "fraud", "", None, None)]
    assert [(one.before, one.event is not None) for one in said] == [
        (None, True),
        ("risk", False),
        ("risk", True),
        ("fraud", True),
        ("", True),
        (None, False),
    ]
    assert said[0].change == Tag(model="boston", key="team", value="risk", version=number)
    assert tags() == [{}] * 4
    set_tag(registered, reference, "team", "risk")
    assert [at for at, found in enumerate(tags()) if found] == [number or 0]


def test_a_description_is_the_last_that_was_given(registered: Project) -> None:
    for reference in ("boston", "boston@2"):
        assert [describe(registered, reference, text).before for text in ("a", "b\nc", None)] == [None, "a", "b\nc"]
        assert describe(registered, reference, None).event is None
        assert describe(registered, reference, "last").event is not None
    assert (boston(registered).description, boston(registered).versions[1].description) == ("last", "last")


def test_comments_stay_and_tell_whose_they_are(registered: Project) -> None:
    ana = acting(registered, "ana", "ana@example.com")
    for text in ("fine", "fine"):
        assert comment(ana, "boston@2", text).event is not None
    comment(registered, "boston", "all of it")
    assert [(c.text, c.actor, c.email) for c in boston(registered).versions[1].comments] == [
        ("fine", "ana", "ana@example.com")
    ] * 2
    assert [c.text for c in boston(registered).comments] == ["all of it"]


@pytest.mark.parametrize(
    ("say", "what"),
    [
        (lambda project: comment(project, "boston", " "), "the comment is blank"),
        (lambda project: comment(project, "boston", "\x1b]2;x\x07"), "the comment holds the control character"),
        (lambda project: describe(project, "boston@1", "x" * 10_001), "the description is 10001 characters long"),
        (lambda project: describe(project, "boston", ""), "the description is blank"),
        (lambda project: set_tag(project, "boston", "", "v"), "'' cannot name a tag"),
        (lambda project: set_tag(project, "boston", "a\nb", "v"), "cannot name a tag"),
        (lambda project: set_tag(project, "boston", "k", "a\0b"), "the value of tag 'k' holds the control character"),
        (lambda project: approve(project, "boston@1", reason="\r"), "the reason"),
        (lambda project: set_alias(project, "boston@1", "a", reason=""), "the reason is blank"),
        (lambda project: grant(project, "boston", "a\tb", "owner"), "cannot name a person"),
        (lambda project: grant(project, "boston", "x" * 129, "owner"), "cannot name a person"),
        (lambda project: grant(project, "boston@1", "bob", "owner"), "a role is for a model, not for boston@1"),
        (lambda project: comment(project, "boston@4", "x"), "has no version 4"),
        (lambda project: set_tag(project, "nope", "k", "v"), "there is no model 'nope'"),
        (lambda project: set_alias(project, "boston", "a"), "names no version of model 'boston'"),
        (lambda project: approve(project, "boston"), "names no version of model 'boston'"),
    ],
)
def test_what_cannot_be_said_leaves_no_event(registered: Project, say: Callable[[Project], object], what: str) -> None:
    before = events(registered)
    with pytest.raises(LinError, match=what) as caught:
        say(registered)
    assert isinstance(caught.value, UsageError | NotFoundError)
    assert events(registered) == before


# --- approvals --------------------------------------------------------------------------------------------------------


def test_an_approval_takes_a_second_pair_of_eyes(registered: Project) -> None:
    bob = acting(registered, "bob")
    assert approve(bob, "boston@2", reason="looked at it").change == Approve(
        model="boston", version=2, approved=True, reason="looked at it"
    )
    assert approve(bob, "boston@2").event is None
    assert [(a.actor, a.text) for a in boston(registered).versions[1].approvals] == [("bob", "looked at it")]
    assert approve(bob, "boston@2", withdraw=True).before == "approved"
    assert boston(registered).versions[1].approvals == []
    assert approve(bob, "boston@2", withdraw=True).event is None


def test_whoever_registered_a_version_does_not_approve_of_it(registered: Project) -> None:
    with pytest.raises(RefusedError, match="ann registered boston@2, and cannot approve of it too") as caught:
        approve(registered, "boston@2")
    assert caught.value.hint == "ask somebody else for: lin approve boston@2"
    refusal = registered.store.events.read()[-1].change
    assert isinstance(refusal, Refuse)
    assert (refusal.version, refusal.action) == (2, "approve of boston@2")
    assert approve(registered, "boston@2", withdraw=True).event is None


def test_neither_does_the_same_person_by_another_login(registered: Project) -> None:
    register = Register(model="boston", version=4, run="r", artifact=MODEL, sha256="0" * 64)
    append_change(acting(registered, "ann", "ann@example.com"), lambda _: register)
    with pytest.raises(RefusedError, match="ann, whose email root has, registered boston@4"):
        approve(acting(registered, "root", "Ann@example.com"), "boston@4")
    bob = acting(registered, "bob", "bob@example.com")
    assert approve(bob, "boston@4").event is not None
    assert approve(acting(registered, "robert", "bob@example.com"), "boston@4").event is None


# --- roles ------------------------------------------------------------------------------------------------------------


def test_the_first_role_makes_an_owner(registered: Project) -> None:
    before = events(registered)
    for role in ("promoter", "reader"):
        with pytest.raises(UsageError, match="has no owner, and the first role to give makes one") as caught:
            grant(registered, "boston", "uid 1000", role)  # type: ignore[arg-type]
    assert caught.value.hint == "lin grant boston 'uid 1000' owner"
    assert grant(registered, "boston", "bob", None).event is None
    assert events(registered) == before
    done = grant(registered, "boston", "bob", "owner", reason="his idea")
    assert done.change == Grant(model="boston", who="bob", role="owner", reason="his idea")
    assert (done.before, done.own_role) == (None, "reader")
    assert grant(acting(registered, "bob"), "boston", "ann", "promoter").own_role == "owner"


def test_the_last_owner_stays_while_others_have_roles(registered: Project) -> None:
    grant(registered, "boston", "ann", "owner")
    grant(registered, "boston", "bob", "promoter")
    for role in ("promoter", None):
        with pytest.raises(UsageError, match="ann is the last owner of model 'boston', and others have roles"):
            grant(registered, "boston", "ann", role)  # type: ignore[arg-type]
    grant(registered, "boston", "bob", None)
    assert grant(registered, "boston", "ann", None).own_role == "owner"  # everybody is
    assert boston(registered).roles == {}


@pytest.mark.parametrize("saying", SAYINGS)
def test_a_reader_may_not_and_the_refusal_is_kept(registered: Project, saying: str) -> None:
    grant(registered, "boston", "bob", "owner")
    grant(acting(registered, "bob"), "boston", "ann", "reader")
    before = boston(registered)
    for actor in ("ann", "eve"):
        with pytest.raises(RefusedError, match=f"^{actor} may not .*: that takes the role .*, and {actor} is reader"):
            SAYINGS[saying](acting(registered, actor))
    after = boston(registered)
    assert [refusal.actor for refusal in after.refusals] == ["ann", "eve"]
    assert but_refusals(after) == but_refusals(before)
    assert comment(acting(registered, "eve"), "boston@1", "why not?").event is not None


def but_refusals(model: Model) -> dict[str, object]:
    return {name: getattr(model, name) for name in model.__struct_fields__ if name != "refusals"}


@pytest.mark.parametrize("saying", SAYINGS)
@pytest.mark.parametrize("role", ["promoter", "owner"])
def test_promoters_do_all_but_give_roles(registered: Project, role: str, saying: str) -> None:
    grant(registered, "boston", "bob@example.com", role="owner")
    bob = acting(registered, "bob", "bob@example.com")
    grant(bob, "boston", "eve", role)  # type: ignore[arg-type]
    if role == "promoter" and saying == "grant":
        with pytest.raises(RefusedError, match="that takes the role owner"):
            SAYINGS[saying](acting(registered, "eve"))
        return
    assert SAYINGS[saying](acting(registered, "eve")).event == events(registered)


# --- with all events before it in view --------------------------------------------------------------------------------


class Overtaken(Project):
    """Somebody whose answer of git takes so long that others do something before his change."""

    meanwhile: Callable[[], object]

    @property
    def email(self) -> str | None:  # type: ignore[override]
        do, self.__dict__["meanwhile"] = self.__dict__["meanwhile"], lambda: None
        do()
        return None


def overtaken(project: Project, meanwhile: Callable[[], object]) -> Project:
    late = Overtaken(project.root, project.config, open_project(project.root).store, project.store_root, "bob")
    late.__dict__["meanwhile"] = meanwhile
    return late


def test_what_became_so_meanwhile_makes_no_second_event(registered: Project) -> None:
    late = overtaken(registered, lambda: set_alias(registered, "boston@1", "champion"))
    assert set_alias(late, "boston@1", "champion").event is None
    late = overtaken(registered, lambda: set_tag(registered, "boston", "team", "risk"))
    assert set_tag(late, "boston", "team", "fraud").before == "risk"


def test_a_role_that_was_taken_away_meanwhile_is_gone(registered: Project) -> None:
    grant(registered, "boston", "ann", "owner")
    grant(registered, "boston", "bob", "owner")
    late = overtaken(registered, lambda: grant(registered, "boston", "bob", None))
    with pytest.raises(RefusedError, match="bob is reader"):
        grant(late, "boston", "ann", None)
    assert boston(registered).roles == {"ann": "owner"}


def test_two_owners_do_not_take_each_other_away(registered: Project) -> None:
    for who, role in (("ann", "owner"), ("bob", "owner"), ("eve", "promoter")):
        grant(registered, "boston", who, role)  # type: ignore[arg-type]
    late = overtaken(registered, lambda: grant(registered, "boston", "ann", None))
    with pytest.raises(UsageError, match="bob is the last owner"):
        grant(late, "boston", "bob", None)
    assert boston(registered).roles == {"bob": "owner", "eve": "promoter"}
