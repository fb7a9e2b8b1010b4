"""Links of runs: the same whether the index or the records tell of them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lin.project import Project, create_project, open_project
from lin.records import FileRef, Fit, ModelRef, TableRef, digest
from lin.runs.catalog import describe_index, rebuild_index
from lin.runs.index_rows import make_rows, row_schema
from lin.runs.links import Links, place_of, read_links, row_of
from lin.runs.query import read_run
from lin.runs.record import begin_run, capture

Ask = Callable[[Links], object]

PIN, OTHER = digest(b"a pin"), digest(b"another pin")
ZERO, ONE, AGAIN = (
    TableRef(table="housing", location="../data/housing", version=version, pin=pin, rows=3)
    for version, pin in ((0, PIN), (1, OTHER), (2, PIN))
)
MODEL = ModelRef(model="boston", version=3, sha256=digest(b"a model"))
FILE = FileRef(path="data/x.csv", sha256=digest(b"x"), bytes=1)
HOSTILE = FileRef(path="'; DROP TABLE links; --\n\x1b[31m.csv", sha256=digest(b"y"), bytes=1)


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project, _ = create_project(tmp_path_factory.mktemp("linked"), name="linked")
    for content in (b"a pin", b"another pin", b"a model"):
        project.store.blobs.put(content)
    captured = capture(project)

    def record(name: str, inputs=(), outputs=(), *, kind="program", features=(), **options) -> str:
        recorder = begin_run(project, captured, kind=kind, name=name, inputs=[*inputs], **options)
        for output in outputs:
            recorder.log_output(output)
        recorder.seal("finished", features=[*features])
        return recorder.id

    fit = Fit(estimator=["Ridge"], target="medv")
    first = record("fit", [ZERO], kind="train", fit=fit, features=["rm", "lstat"])
    record("fill", [ZERO, MODEL], [ONE], kind="predict", params={"column": "medv", "rows": 2})
    record("restored", [ZERO], [AGAIN], kind="restore")
    record("write", [AGAIN], [FILE, HOSTILE])
    record("use", [FILE, HOSTILE])
    record("again", [ZERO], [ONE, FILE], parent=first)
    record("cell", [ZERO], kind="cell")
    return project


@pytest.fixture
def linked(made_once: Project, tmp_path: Path) -> Project:
    """Seven runs, and no index."""
    shutil.copytree(made_once.root, tmp_path / "linked")
    return open_project(tmp_path / "linked")


def answers(links: Links) -> dict[str, object]:
    """Everything that links can be asked, with runs by their names."""
    places = [place_of(thing) for thing in (ZERO, ONE, AGAIN, MODEL, FILE, HOSTILE)]
    fertile, barren = (
        {(p, how, r.name) for p, how, r in found} for found in (links.fertile([]), links.barren([], places))
    )
    return {
        "fertile": fertile,
        "barren": barren,
        "written": {place_of(thing) for _, thing in links.written()},
        "writers": {place: len(links.writers(place)) for place in places},
        "twins": [place_of(thing) for thing in links.twins(place_of(ZERO))],
        "columns": {(how, row.name) for c in ("medv", "rm", "x") for _, how, row in links.readers(places, c)},
        "files": [links.files(HOSTILE.path), links.files("nothing")],
        "digest": [place_of(thing) for thing in links.of_digest(PIN[:8])],
        "read files": links.read_files(),
        "silent": links.silent_readers(place_of(ZERO)),
        "tables": links.table_places(),
    }


def test_the_index_and_the_records_tell_the_same(linked: Project) -> None:
    from_records = answers(read_links(linked.store, features=True))
    rebuild_index(linked.store)
    assert describe_index(linked.store).lacking == 0
    from_index = answers(read_links(linked.store, features=True))
    assert from_index == from_records
    zero, medv = place_of(ZERO), place_of(AGAIN)
    assert from_index["fertile"] == {
        (zero, "read", "fill"),
        (place_of(MODEL), "predicted", "fill"),
        (zero, "read", "restored"),
        (medv, "read", "write"),
    }
    assert from_index["barren"] == {
        (zero, "read", "fit"),
        (zero, "read", "again"),
        (place_of(FILE), "read", "use"),
        (place_of(HOSTILE), "read", "use"),
    }
    assert from_index["writers"] == {zero: 0, place_of(ONE): 1, medv: 1, place_of(MODEL): 0} | dict.fromkeys(
        map(place_of, (FILE, HOSTILE)), 1
    )
    assert from_index["twins"] == [medv]
    assert from_index["columns"] == {("target", "fit"), ("feature", "fit")}
    assert from_index["silent"] == 3


def test_rows_are_those_of_the_records(linked: Project) -> None:
    def rows() -> set[object]:
        links = read_links(linked.store)
        barren = [run for alike in links.user_sets("source", source, []) for run in alike.ids]
        return {row for _, _, row in links.users("source", source, [])} | {*links.rows(barren).values()}

    runs = [read_run(linked.store, run) for run in linked.store.runs.ids()]
    source = next(run.source.tree for run in runs if run.source)
    expected = {row_of(run) for run in runs if run.kind != "cell"}
    assert rows() == expected
    rebuild_index(linked.store)
    assert rows() == expected


def test_cells_are_there_where_they_are_named(linked: Project) -> None:
    (cell,) = [run for run in linked.store.runs.ids() if read_run(linked.store, run).kind == "cell"]
    assert cell not in {row.id for _, _, row in read_links(linked.store).barren([], [place_of(ZERO)])}
    assert cell in {row.id for _, _, row in read_links(linked.store, named=[cell]).barren([], [place_of(ZERO)])}


def test_only_what_was_written_is_asked_for_less(linked: Project) -> None:
    rebuild_index(linked.store)
    links = read_links(linked.store, only_written=True)
    assert links.writers(place_of(FILE)) == read_links(linked.store).writers(place_of(FILE)) != []
    assert links.table_writers() == read_links(linked.store).table_writers()


def test_an_index_of_an_older_format_is_made_anew(linked: Project) -> None:
    rebuild_index(linked.store)
    before = answers(read_links(linked.store, features=True))
    log = linked.store_root / "index" / "_delta_log" / f"{0:020d}.json"
    log.write_text(log.read_text().replace("index/2", "index/1"))
    assert describe_index(linked.store).lacking == 7
    assert answers(read_links(linked.store, features=True)) == before
    rebuild_index(linked.store)
    assert describe_index(linked.store).lacking == 0


def test_a_damaged_index_is_said_and_made_anew(linked: Project) -> None:
    rebuild_index(linked.store)
    before = answers(read_links(linked.store, features=True))
    (file,) = (linked.store_root / "index").glob("*.parquet")
    file.write_bytes(bytes(file.stat().st_size))
    links = read_links(linked.store, features=True)
    assert [note.endswith("it is made anew") for note in links.notes] == [True]
    assert answers(links) == before


def test_other_engines_can_read_the_links(linked: Project) -> None:
    rebuild_index(linked.store)
    rows = {row["name"]: row for row in DeltaTable(linked.store_root / "index").to_pyarrow_table().to_pylist()}
    assert rows["fill"]["read"] == [
        {"type": "table", "name": "housing", "location": "../data/housing", "version": 0, "digest": PIN},
        {"type": "model", "name": "boston", "location": None, "version": 3, "digest": MODEL.sha256},
    ]
    assert (rows["fit"]["target"], rows["fit"]["features"], rows["use"]["wrote"]) == ("medv", ["rm", "lstat"], [])


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(st.lists(st.tuples(texts, st.integers(0, 9)), max_size=5))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_hold_any_names(linked: Project, names: list[tuple[str, int]]) -> None:
    from msgspec.structs import replace

    run = read_run(linked.store, next(linked.store.runs.ids()))
    things = [TableRef(table=n, location=f"../{n}", version=v, pin=PIN, rows=1) for n, v in names]
    files = [FileRef(path=name, sha256=PIN, bytes=1) for name, _ in names]
    rows = make_rows([replace(run, inputs=[*things, *files], outputs=files, features=[n for n, _ in names])] * 2)
    assert rows.schema == row_schema()
    for row in rows.to_pylist():
        assert [(t["name"], t["version"]) for t in row["read"]] == [*names, *((name, None) for name, _ in names)]
        assert [t["name"] for t in row["wrote"]] == row["features"] == [name for name, _ in names]
