"""What the records of a run name, and what that names in turn."""

from msgspec.structs import replace

from lin.recipes import Mix, Recipe
from lin.records import Environment, FileRef, ModelRef, Package, SourceFile, SourceTree, TableRef, encode
from lin.runs.host import capture_host, capture_process
from lin.runs.needs import Reader, named_by_recipe, named_by_start
from lin.runs.record import Capture, begin_run
from lin.runs.source import Source

TABLE = TableRef("t", "../t", 0, "a" * 64, 1)


def test_a_recipe_names_both_sides_of_a_mix_and_no_files():
    recipe = Recipe(
        kind="train",
        name="x",
        tables=[TABLE, Mix(replace(TABLE, pin="b" * 64), replace(TABLE, pin="c" * 64), ["k"])],
        files=[FileRef("f.csv", "d" * 64, 1)],
        models=[ModelRef("m", 1, "e" * 64)],
        source="1" * 64,
        environment="2" * 64,
        golden="3" * 64,
    )
    assert sorted(named_by_recipe(recipe)) == [letter * 64 for letter in "123abce"]
    assert list(named_by_recipe(Recipe(kind="train", name="x"))) == []


def test_all_that_is_named_is_told_once(project):
    blobs = project.store.blobs
    files = [blobs.put(data) for data in (b"one", b"two")]
    trees = [blobs.put(encode(SourceTree([SourceFile("a.py", file, 3)]))) for file in files]
    package = Package("mine", "1", editable=True, source=trees[1])
    environment = blobs.put(encode(Environment("3", "cpython", "x", "Linux", "x", [package])))
    pin = blobs.put(b"pin")
    recipe = Recipe(kind="train", name="x", tables=[replace(TABLE, pin=pin)], source=trees[0], environment=environment)
    named = blobs.put(encode(recipe))
    captured = Capture(Source(tree=trees[0]), environment, capture_host(), capture_process())
    start = begin_run(project, captured, kind="cell", name="x", recipe=named).start
    assert sorted(named_by_start(start)) == sorted([trees[0], environment, named])
    reader = Reader(blobs)
    assert set(reader.all_named(start)) == {*files, *trees, environment, named, pin}
    assert set(reader.all_named(start)) == {trees[0], environment, named}
