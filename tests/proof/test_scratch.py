"""What is laid out, what is refused before anything is, and that it is gone afterwards."""

import msgspec
import pytest
from deltalake import DeltaTable, write_deltalake

from lin.data.tables import open_table
from lin.errors import NotReproducibleError
from lin.project import Project
from lin.proof.scratch import find_heads, lay_out, missing_files, missing_source
from lin.recipes import Recipe
from lin.records import FileRef, SourceFile, SourceTree, TableRef, digest, encode
from lin.runs.query import read_run
from lin.runs.record import begin_run, capture
from lin.runs.writes import pin_input


def recipe_with(project: Project, source: dict[str, bytes], **options: object) -> Recipe:
    """A command whose source is these files."""
    blobs = project.store.blobs
    tree = SourceTree(files=[SourceFile(path, blobs.put(data), len(data)) for path, data in source.items()])
    return msgspec.structs.replace(
        Recipe(kind="command", name="train.py", command=["true"], source=blobs.put(encode(tree))), **options
    )


def file_ref(path: str, data: bytes) -> FileRef:
    return FileRef(path=path, sha256=digest(data), bytes=len(data))


def test_everything_lies_where_it_lies_really(fitted: Project) -> None:
    table = open_table(fitted, "housing")
    read = pin_input(fitted, table)[1]
    recipe = recipe_with(
        fitted,
        {"train.py": b"1", "lineage.toml": (fitted.root / "lineage.toml").read_bytes()},
        tables=[read],
        folder="deep/er",
    )
    with lay_out(fitted, recipe) as scratch:
        root = scratch.project.root
        assert scratch.place(fitted.root) == root
        assert str(root) == f"{scratch.folder}{fitted.root}"
        assert (root / "train.py").read_bytes() == b"1"
        assert (root / "deep/er").is_dir()
        laid_out = open_table(scratch.project, "housing")
        assert laid_out.root.is_relative_to(scratch.folder)
        assert pin_input(scratch.project, laid_out)[1] == read
        write_deltalake(laid_out.root, DeltaTable(laid_out.root).to_pyarrow_table(), mode="overwrite")
        assert (root.stat().st_mode & 0o777) == 0o700
    assert not scratch.folder.exists()
    assert table.log.head() == 0
    with lay_out(fitted, msgspec.structs.replace(recipe, kind="train")) as scratch:
        assert not (scratch.project.root / "data").exists()


def test_absolute_paths_in_what_the_project_declared_are_those_of_the_scratch_folder(fitted: Project) -> None:
    declared = f'[project]\nname = "p"\n[tables.far]\npath = "{fitted.root}/../far"\n'.encode()
    write_deltalake(fitted.root.parent / "far", DeltaTable(fitted.root / "data/housing").to_pyarrow_table())
    far = pin_input(fitted, open_table(fitted, "housing"))[1]
    far = msgspec.structs.replace(far, table="far", location="../../far", pin=far.pin)
    with lay_out(fitted, recipe_with(fitted, {"lineage.toml": declared})) as scratch:
        root = scratch.project.root
        assert open_table(scratch.project, "far").root == root.parent / "far"
        assert scratch.project.locate(root.parent / "far") == far.location
        assert scratch.project.locate(fitted.root / "data/x") == "../data/x"


def test_files_come_from_the_snapshot_the_store_or_what_is_live(fitted: Project) -> None:
    (fitted.root / "live.csv").write_bytes(b"live")
    fitted.store.blobs.put(b"kept")
    files = {"source.csv": b"source", "other.csv": b"newer"}
    recorded = {"source.csv": b"source", "other.csv": b"kept", "live.csv": b"live", "b/live.csv": b"kept"}
    refs = [file_ref(path, data) for path, data in recorded.items()]
    recipe = recipe_with(fitted, files, files=refs)
    assert missing_files(fitted, recipe) == []
    with lay_out(fitted, recipe) as scratch:
        found = {path: (scratch.project.root / path).read_bytes() for path in recorded}
        assert found == recorded
        (scratch.project.root / "live.csv").write_bytes(b"changed")
    assert (fitted.root / "live.csv").read_bytes() == b"live"


def test_what_is_missing_is_named_all_at_once(fitted: Project) -> None:
    (fitted.root / "edited.csv").write_bytes(b"edited")
    (fitted.root / "folder.csv").mkdir()
    names = ["edited.csv", "gone.csv", "folder.csv"]
    recipe = recipe_with(fitted, {"train.py": b"1"}, files=[file_ref(name, b"was") for name in names])
    assert missing_files(fitted, recipe) == [
        "input file edited.csv was edited since, and only its sha256 was recorded",
        "input file gone.csv is gone, and only its sha256 was recorded",
        "input file folder.csv cannot be read: it is not a regular file",
    ]
    with pytest.raises(NotReproducibleError, match=r"^train.py cannot be re-run: input file edited.csv .*; .*gone.csv"):
        lay_out(fitted, recipe).__enter__()
    many = msgspec.structs.replace(recipe, files=[file_ref(f"{i}.csv", b"x") for i in range(7)])
    with pytest.raises(NotReproducibleError, match=r"input file 4.csv .*; and 2 more$"):
        lay_out(fitted, many).__enter__()


def test_source_that_is_gone_is_named(fitted: Project) -> None:
    recipe = recipe_with(fitted, {"a.py": b"only here"})
    sha256 = digest(b"only here")
    (fitted.store_root / "blobs" / sha256[:2] / sha256).unlink()
    assert missing_source(fitted, recipe) == ["source file a.py is gone from the store"]
    nothing = digest(b"nothing")
    lost = msgspec.structs.replace(recipe, source=nothing)
    (told,) = missing_source(fitted, lost)
    assert told == f"the list of its source files, {nothing[:12]}, is gone from the store"
    assert missing_source(fitted, msgspec.structs.replace(recipe, source=None)) == []


@pytest.mark.parametrize("path", ["../out.csv", "/etc/hosts", "a/../../out.csv", ""])
def test_a_hostile_file_is_laid_out_nowhere(fitted: Project, path: str) -> None:
    fitted.store.blobs.put(b"evil")
    with pytest.raises(NotReproducibleError, match="lies outside the project"):
        lay_out(fitted, recipe_with(fitted, {}, files=[file_ref(path, b"evil")])).__enter__()


def test_a_hostile_folder_is_none(fitted: Project) -> None:
    with pytest.raises(NotReproducibleError, match=r"its folder '\.\./.*' is none"):
        lay_out(fitted, recipe_with(fitted, {}, folder="../" * 30 + "tmp")).__enter__()


def test_where_a_run_wrote_to_a_table_that_it_had_not_read(fitted: Project) -> None:
    around, location = capture(fitted), "../data/kept"
    root = fitted.root / "data/kept"
    rows = DeltaTable(fitted.root / "data/housing").to_pyarrow_table()
    for _ in range(3):
        write_deltalake(root, rows, mode="append")
    ref = TableRef(table="kept", location=location, version=2, pin=fitted.store.blobs.put(b"a pin"), rows=1)

    def made(version: int, *read: TableRef) -> str:
        recorder = begin_run(fitted, around, kind="command", name="x", inputs=list(read))
        recorder.log_output(msgspec.structs.replace(ref, version=version))
        recorder.seal("finished")
        assert read_run(fitted.store, recorder.id).table_outputs
        return recorder.id

    recipe = recipe_with(fitted, {})
    reads_first = msgspec.structs.replace(ref, version=0)
    assert find_heads(fitted, recipe, None) == {}
    assert find_heads(fitted, recipe, made(2)) == {location: 1}
    assert find_heads(fitted, recipe, made(0)) == {}
    assert find_heads(fitted, recipe, made(9)) == {}, "the log does not have it any more"
    assert find_heads(fitted, recipe, made(2, reads_first)) == {}, "the recipe does not read what the run read"
    reading = msgspec.structs.replace(recipe, tables=[reads_first])
    assert find_heads(fitted, reading, made(2, reads_first)) == {location: 1}
    assert find_heads(fitted, reading, made(1, reads_first)) == {}, "it wrote after what it read"


def test_a_pin_that_is_gone(fitted: Project) -> None:
    read = msgspec.structs.replace(pin_input(fitted, open_table(fitted, "housing"))[1], pin="0" * 64)
    with pytest.raises(NotReproducibleError, match=r"train.py cannot be re-run: blobs/00/0+ is missing"):
        lay_out(fitted, recipe_with(fitted, {}, tables=[read])).__enter__()
