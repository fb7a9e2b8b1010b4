"""Who has which role, by login name or email, and what each may do."""

import pytest

from lin.errors import RefusedError, UsageError
from lin.events import Role
from lin.models.fold import Model
from lin.models.roles import RIGHTS, is_governed, is_same_person, parse_role, require_role, role_of


def model(**roles: Role) -> Model:
    return Model(name="boston", versions=[], roles={who.replace("_at_", "@"): role for who, role in roles.items()})


def test_what_nobody_owns_is_everybodys() -> None:
    assert not is_governed(model())
    assert role_of(model(), "eve", None) == "owner"
    require_role(model(), "owner", "do it", actor="eve", email=None)


def test_the_greater_role_counts_by_login_and_by_email() -> None:
    ours = model(ann="owner", bob="reader", b_at_x="promoter")
    assert is_governed(ours)
    assert role_of(ours, "ann", None) == "owner"
    assert role_of(ours, "bob", None) == "reader"
    assert role_of(ours, "bob", "b@x") == "promoter"
    assert role_of(ours, "robert", "b@x") == "promoter"
    assert role_of(ours, "eve", "e@x") == "reader"


@pytest.mark.parametrize("needed", RIGHTS)
@pytest.mark.parametrize("given", RIGHTS)
def test_a_role_has_the_rights_of_those_before_it(given: Role, needed: Role) -> None:
    ours = model(ann="owner", bob=given)
    if [*RIGHTS].index(given) >= [*RIGHTS].index(needed):
        require_role(ours, needed, "do it", actor="bob", email=None)
        return
    with pytest.raises(RefusedError) as caught:
        require_role(ours, needed, "do it", actor="bob", email="b@x")
    assert caught.value.message == (
        f"bob (b@x) may not do it: that takes the role {needed} for model 'boston', and bob is {given}"
    )
    assert caught.value.hint == f"ask an owner (ann) for: lin grant boston bob {needed}"


def test_the_words_for_roles() -> None:
    assert [parse_role(word) for word in ("reader", "Promoter", "OWNER", "none")] == [*RIGHTS, None]
    with pytest.raises(UsageError, match="'promotr' is not a role") as caught:
        parse_role("promotr")
    assert caught.value.hint == "did you mean 'promoter'?"


def test_two_are_one_person_if_login_or_email_is_the_same() -> None:
    assert is_same_person(("ann", None), ("ann", "a@x"))
    assert is_same_person(("ann", "a@x"), ("root", "A@x"))
    assert not is_same_person(("ann", "a@x"), ("bob", "b@x"))
    assert not is_same_person(("ann", None), ("bob", None))
