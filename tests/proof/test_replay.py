"""The child that fits again: where it finds modules, and whose source its run has."""

from pathlib import Path

import pytest

from lin.errors import NotReproducibleError
from lin.project import Project
from lin.proof.replay import Order, replay, source_of, use_modules
from lin.recipes import Recipe
from lin.records import SourceTree, decode, encode
from lin.runs.query import list_runs


def test_modules_of_the_project_are_those_of_the_scratch_folder(tmp_path: Path) -> None:
    live, scratch = Path("/home/ann/boston"), tmp_path
    root = Path(f"{scratch}{live}")
    (root / "src").mkdir(parents=True)
    path = [f"{live}/src", "/usr/lib/python", f"{live}/venv/lib", "/home/ann/boston2/src"]
    more = ["", f"{root}/src", f"{root}/lib"]
    assert use_modules(path, root, scratch, more) == [f"{root}/src", *path[1:], f"{root}/lib"]


def test_the_source_is_as_git_saw_it_where_it_is_that_of_the_original(fitted: Project) -> None:
    original = list_runs(fitted.store).runs[-1]
    assert original.source is not None
    assert original.source.git is not None
    same = Recipe(kind="train", name="x", source=original.source.tree)
    assert source_of(fitted, same, original.id) == original.source
    assert source_of(fitted, same, None).git is None
    other = Recipe(kind="train", name="x", source="0" * 64)
    assert (source_of(fitted, other, original.id).tree, source_of(fitted, other, original.id).git) == ("0" * 64, None)
    nothing = source_of(fitted, Recipe(kind="train", name="x"), original.id)
    assert decode(fitted.store.blobs.read(nothing.tree), SourceTree, where="it").files == []


def test_what_is_no_fit_is_refused(fitted: Project) -> None:
    recipe = fitted.store.blobs.put(encode(Recipe(kind="train", name="x")))
    with pytest.raises(NotReproducibleError, match="x cannot be re-run: it is not a fit of one table"):
        replay(fitted, Order(recipe, None, "train"))
