"""What was seen, as inputs and outputs: what counts as read and as written, and under which name."""

from pathlib import Path

import pyarrow as pa
from deltalake import write_deltalake

from lin.data.tables import open_table
from lin.project import Project
from lin.records import FileRef, Seen, TableRef, digest
from lin.runs.observe import Observed, resolve_seen
from lin.runs.writes import pin_input


def read(project: Project, path: str, content: bytes = b"1") -> Seen:
    return Seen("read", f"{project.root}/{path}", sha256=digest(content), bytes=len(content))


def wrote(project: Project, path: str) -> Seen:
    return Seen("wrote", f"{project.root}/{path}")


def ref(path: str, content: bytes = b"1") -> FileRef:
    return FileRef(path=path, sha256=digest(content), bytes=len(content))


def observe(project: Project, *seen: Seen) -> Observed:
    return resolve_seen(project, seen)


def make_table(root: Path, versions: int = 1) -> Path:
    for number in range(versions):
        write_deltalake(root, pa.table({"x": [number]}), mode="append")
    return root


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_file_that_was_read_is_an_input_as_it_was_then(project: Project) -> None:
    (project.root / "a.csv").write_bytes(b"later")
    found = observe(project, read(project, "a.csv"), read(project, "sub/b.csv"), read(project, "a.csv"))
    assert found == Observed(inputs=[ref("a.csv"), ref("sub/b.csv")], outputs=[], unpinned=[])


def test_a_file_that_changed_between_two_reads_is_two_inputs(project: Project) -> None:
    found = observe(project, read(project, "a.csv"), read(project, "a.csv", b"2"))
    assert found.inputs == [ref("a.csv"), ref("a.csv", b"2")]


def test_what_was_written_is_an_output_as_it_is_now(project: Project) -> None:
    (project.root / "n.csv").write_bytes(b"new")
    found = observe(project, wrote(project, "n.csv"), wrote(project, "gone.csv"), wrote(project, "n.csv"))
    assert found == Observed(inputs=[], outputs=[ref("n.csv", b"new")], unpinned=[])


def test_what_the_run_wrote_itself_is_no_input(project: Project) -> None:
    for name in ("a.csv", "n.csv"):
        (project.root / name).write_bytes(b"new")
    found = observe(
        project,
        *(read(project, "a.csv"), wrote(project, "a.csv"), read(project, "a.csv", b"new")),
        *(wrote(project, "n.csv"), read(project, "n.csv", b"new")),
    )
    assert found.inputs == [ref("a.csv")]
    assert found.outputs == [ref("a.csv", b"new"), ref("n.csv", b"new")]


def test_what_is_no_file_of_the_project_is_left_out(project: Project, tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_bytes(b"1")
    (project.root / "d.csv").mkdir()
    (project.root / "link.csv").symlink_to("nowhere")
    lines = [wrote(project, path) for path in ("../n.csv", "d.csv", "link.csv")]
    assert observe(project, *lines, read(project, "../n.csv")) == Observed(inputs=[], outputs=[], unpinned=[])


def test_a_digest_that_is_none_is_not_believed(project: Project) -> None:
    path = f"{project.root}/a.csv"
    lines = [Seen("read", path, sha256="x" * 64, bytes=1), Seen("read", path, sha256="a" * 64), Seen("read", path)]
    assert observe(project, *lines).inputs == []


# --- tables -----------------------------------------------------------------------------------------------------------


def test_a_declared_table_goes_by_its_name_and_is_the_same_as_lin_records(housing: Project) -> None:
    table = open_table(housing, "housing")
    found = observe(housing, Seen("read", str(table.root), version=0), Seen("read", str(table.root), version=0))
    assert found == Observed(inputs=[pin_input(housing, table, 0)[1]], outputs=[], unpinned=[])
    assert housing.store.blobs.size(found.inputs[0].pin) is not None  # type: ignore[union-attr]


def test_another_table_goes_by_its_folder(project: Project, tmp_path: Path) -> None:
    for root in (project.root / "data" / "sales", tmp_path / "outside"):
        make_table(root, versions=2)
        line = Seen("read", str(root), version=1)
        (found,) = observe(project, line).inputs
        assert isinstance(found, TableRef)
        assert (found.table, found.version, found.rows) == (root.name, 1, 2)
        assert (project.store_root / found.location).resolve() == root.resolve()


def test_a_table_is_not_taken_for_a_declared_one_of_that_name(housing: Project) -> None:
    other = make_table(housing.root / "other" / "housing")
    (found,) = observe(housing, Seen("read", str(other), version=0)).inputs
    assert isinstance(found, TableRef)
    assert found.table == "other/housing"


def test_a_version_that_the_run_made_is_no_input(project: Project) -> None:
    root = str(make_table(project.root / "t", versions=3))
    lines = [
        Seen("read", root, version=0),
        Seen("wrote", root, version=1),
        Seen("read", root, version=1),
        Seen("wrote", root, version=2),
    ]
    found = observe(project, *lines)
    assert [i.version for i in found.inputs if isinstance(i, TableRef)] == [0]
    assert [o.version for o in found.outputs if isinstance(o, TableRef)] == [1, 2]


def test_files_of_a_table_that_was_seen_are_not_told_again(project: Project) -> None:
    make_table(project.root / "t")
    found = observe(project, read(project, "t/1.parquet"), Seen("read", f"{project.root}/t", version=0))
    assert [type(i) for i in found.inputs] == [TableRef]
    assert observe(project, read(project, "t/1.parquet")).inputs == [ref("t/1.parquet")]


def test_what_cannot_be_pinned_is_told(project: Project) -> None:
    root = make_table(project.root / "t")
    lines = [
        Seen("read", "s3://bucket/t", version=3),
        Seen("read", str(root), version=7),
        Seen("wrote", f"{project.root}/gone", version=0),
        Seen("wrote", str(root), version=0),
    ]
    found = observe(project, *lines)
    assert (len(found.inputs), len(found.outputs)) == (0, 1)
    places = ["s3://bucket/t@3", f"{root}@7", f"{project.root}/gone@0"]
    assert [line.startswith(f"{place}: ") for line, place in zip(found.unpinned, places, strict=True)] == [True] * 3


def test_a_table_whose_data_is_gone_is_told(project: Project) -> None:
    root = make_table(project.root / "t")
    for file in root.glob("*.parquet"):
        file.unlink()
    found = observe(project, Seen("read", str(root), version=0))
    assert (found.inputs, len(found.unpinned)) == ([], 1)
    assert "is missing" in found.unpinned[0]
