"""What differs between recipes, and recipes in between: for each axis, over real tables, trees and environments."""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.config import TableSetting
from lin.data.commit import Attribution
from lin.data.restore import restore_version
from lin.data.tables import Table, open_table
from lin.data.write import create_table, fill_column, replace_rows
from lin.errors import NotReproducibleError, OutsideError
from lin.project import Project, declare_table
from lin.proof.between.split import Split, differing_axes, split_difference, take_axes
from lin.recipes import AXES, Mix, Recipe
from lin.records import (
    Environment,
    FileRef,
    Fit,
    LeftOut,
    ModelRef,
    Package,
    SourceFile,
    SourceTree,
    TableRef,
    decode,
    encode,
)
from lin.runs.writes import pin_input

BY = Attribution(run="r", user="ann", reason="a test", lin="0.1.0")
Rows = Callable[..., Table]
change = partial(msgspec.structs.replace)


def fit(**values: Any) -> Recipe:
    """A fit's recipe; what is no field of a fit is one of the recipe."""
    asked: dict[str, Any] = {"estimator": ["sklearn.linear_model.Ridge"], "target": "medv", "params": {"alpha": 1}}
    asked |= {name: value for name, value in values.items() if name in Fit.__struct_fields__}
    rest = {name: value for name, value in values.items() if name not in Fit.__struct_fields__}
    return Recipe(kind="train", name="a fit", fit=Fit(**asked), **rest)


def command(*words: str, **values: Any) -> Recipe:
    return Recipe(kind="command", name="a command", command=[*words], **values)


def check(project: Project, low: Recipe, high: Recipe, axis: str, *parts: str, ordered: bool = False) -> Split:
    """The recipes differ in that axis and these parts; with none of them there is `low`, with all `high`."""
    assert differing_axes(project, low, high) == [axis]
    split = split_difference(project, low, high)
    assert split is not None
    assert split.parts == [*parts]
    assert split.ordered is ordered
    assert split.make(frozenset()) == low
    everything = frozenset(range(len(parts)))
    whole = split.make(everything)
    assert differing_axes(project, whole, high) == []
    with pytest.raises(ValueError, match="there is no recipe with the parts"):
        split.make(frozenset([len(parts)]))
    if not ordered:  # each part alone is one difference, and seen from there it is the rest that differs
        for number in everything:
            alone = split.make(frozenset([number]))
            assert decode(encode(alone), Recipe, where="a recipe") == alone
            inner = split_difference(project, low, alone)
            assert inner is not None
            assert len(parts) == 1 or len(inner.parts) >= 1
    return split


# --- axes ---


@pytest.fixture
def environments(project: Project) -> Callable[..., str]:
    """Keeps an environment with these packages, each a version or a whole package; `python` is its interpreter."""

    def keep(python: str = "3.11.7", **packages: str | Package) -> str:
        installed = [
            Package(name.replace("_", "-"), value) if isinstance(value, str) else value
            for name, value in packages.items()
        ]
        environment = Environment(
            python=python,
            implementation="cpython",
            abi=f"cpython-{''.join(python.split('.')[:2])}-x86_64-linux-gnu",
            system="Linux",
            machine="x86_64",
            packages=installed,
            cpu_features=["avx"] if len(packages) % 2 else ["avx512"],
        )
        return project.store.blobs.put(encode(environment))

    return keep


@pytest.fixture
def trees(project: Project) -> Callable[..., str]:
    """Keeps a source snapshot with these files; a number is the size of one that was left out."""

    def keep(files: dict[str, str | bytes | int], *, executable: tuple[str, ...] = ()) -> str:
        blobs = project.store.blobs
        held, left_out = [], []
        for path, content in sorted(files.items()):
            if isinstance(content, int):
                left_out.append(LeftOut(path, content, "it is too large"))
            else:
                data = content.encode() if isinstance(content, str) else content
                held.append(SourceFile(path, blobs.put(data), len(data), path in executable))
        return blobs.put(encode(SourceTree(files=held, left_out=left_out)))

    return keep


def test_any_axes_can_be_taken(project: Project, environments: Callable[..., str], trees: Callable[..., str]) -> None:
    low = fit(
        seed=1,
        source=trees({"a.py": "1"}),
        environment=environments(numpy="2.0"),
        variables={"OPENBLAS_CORETYPE": "Haswell", "PYTHONHASHSEED": "0"},
        threads={"openblas": 2},
        tables=[TableRef("housing", "data", 0, "0" * 64, 1)],
    )
    high = fit(
        seed=2,
        params={"alpha": 2, "random_state": 1},
        source=trees({"a.py": "2"}),
        environment=environments(numpy="2.1"),
        packages={"scipy": "1.0"},
        variables={"PYTHONHASHSEED": "1"},
        threads={"openblas": 1},
        tables=[TableRef("housing", "data", 1, "1" * 64, 1)],
    )
    assert differing_axes(project, low, high) == [*AXES]
    assert differing_axes(project, high, high) == []
    for count in range(len(AXES) + 1):
        for axes in itertools.combinations(AXES, count):
            mixed = take_axes(low, high, axes)
            assert differing_axes(project, low, mixed) == [*axes]
            assert differing_axes(project, mixed, high) == [axis for axis in AXES if axis not in axes]
            assert take_axes(mixed, low, axes) == low
    assert take_axes(low, high, []) == low
    assert take_axes(low, high, AXES) == high
    with pytest.raises(ValueError, match="nothing"):
        take_axes(low, high, ["nothing"])
    split = split_difference(project, low, high)
    assert split is not None
    assert split.parts == [*AXES]
    assert split.make(frozenset([0, 3])) == take_axes(low, high, ["data", "params"])


VALUES: Any = st.sampled_from([None, 0, 1, 1.0, True, "1", "a"])
NAMES = st.sampled_from(["alpha", "seed", "random_state", "step__random_state", "n"])
MAPS = st.dictionaries(NAMES, VALUES, max_size=3)
ENVIRON = st.dictionaries(st.sampled_from(["LANG", "PYTHONHASHSEED", "OMP_NUM_THREADS"]), st.sampled_from("12"))
WORDS = st.lists(st.sampled_from(["--seed", "1", "2", "seed=1", "--alpha=a", "x.py", "a"]), min_size=1, max_size=4)
FITS = st.builds(
    fit,
    params=MAPS,
    seed=st.integers(0, 1),
    rows=st.sampled_from([None, "a"]),
    variables=ENVIRON,
    features=st.sampled_from(["all", ["a"], {"min_abs_correlation": 0.4}]),
)
COMMANDS = st.builds(lambda words, **values: command(*words, **values), WORDS, params=MAPS, variables=ENVIRON)


@given(FITS | COMMANDS, FITS | COMMANDS)
@settings(max_examples=50, deadline=None)
def test_settings_can_be_taken_one_by_one(low: Recipe, high: Recipe) -> None:
    project: Any = None  # no setting is a blob
    axes = differing_axes(project, low, high)
    assert encode(take_axes(low, high, axes)) == encode(change(high, name=low.name))
    assert encode(take_axes(low, high, [])) == encode(low)
    for axis in axes:
        one = take_axes(low, high, [axis])
        assert differing_axes(project, low, one) == [axis]
        split = split_difference(project, low, one)
        assert split is not None
        recipes = [split.make(frozenset([number])) for number in range(len(split.parts))]
        assert len({encode(recipe) for recipe in recipes}) == len(recipes)
        assert all(differing_axes(project, low, recipe) == [axis] for recipe in recipes)
        for recipe in recipes:
            inner = split_difference(project, low, recipe)
            assert inner is not None
            assert len(inner.parts) == 1


# --- settings ---


def test_parameters_are_parts(project: Project) -> None:
    low, high = fit(params={"alpha": 1, "b": "x"}, rows="a"), fit(params={"alpha": 1.0, "c": [1]}, rows="b" * 120)
    split = check(
        project, low, high, "params", "rows", "params.alpha 1 -> 1.0", "params.b x -> unset", "params.c unset -> [1]"
    )
    assert split.make(frozenset([1, 2])) == fit(params={"alpha": 1.0}, rows="a")


def test_a_filled_in_word_goes_with_its_parameter(project: Project) -> None:
    low = command("python", "t.py", "--alpha", "0.1", "x=1", params={"alpha": 0.1, "other": 1})
    high = command("python", "u.py", "--alpha", "0.2", "x=2", params={"alpha": 0.2, "other": 1})
    split = check(
        project, low, high, "params", "params.alpha 0.1 -> 0.2", "word 1 of the command t.py -> u.py", "x 1 -> 2"
    )
    assert split.make(frozenset([0])) == command(
        "python", "t.py", "--alpha", "0.2", "x=1", params={"alpha": 0.2, "other": 1}
    )


def test_words_of_commands_that_are_not_alike_are_one_part(project: Project) -> None:
    check(project, command("a", "--seed", "1"), command("a", "--seed", "1", "b"), "params", "the command")
    check(project, command("a"), fit(seed=3), "params", "the program")


@pytest.mark.parametrize(
    ("low", "high", "label"),
    [
        (command("a", "--seed", "1"), command("a", "--seed", "2"), "--seed 1 -> 2"),
        (command("a", "--random-state=1"), command("a", "--random-state=2"), "--random-state 1 -> 2"),
        (command("a", "seed=1"), command("a", "seed=2"), "seed 1 -> 2"),
        (command("a", "1", params={"seed": 1}), command("a", "2", params={"seed": 2}), "params.seed 1 -> 2"),
        (fit(seed=1), fit(seed=2), "seed 1 -> 2"),
        (fit(params={"a__random_state": 1}), fit(params={}), "params.a__random_state 1 -> unset"),
        (fit(variables={"PYTHONHASHSEED": "0"}), fit(), "PYTHONHASHSEED 0 -> unset"),
    ],
)
def test_seeds_are_an_axis_of_their_own(project: Project, low: Recipe, high: Recipe, label: str) -> None:
    if "a__random_state" in label:
        high = fit(params={})
    check(project, low, high, "seed", label)


def test_the_host_is_variables_and_threads(project: Project) -> None:
    low = fit(variables={"OPENBLAS_NUM_THREADS": "2", "LANG": "C"}, threads={"openblas": 2, "openmp": 2})
    high = fit(variables={"OPENBLAS_NUM_THREADS": "1"}, threads={"openblas": 1, "openmp": 1, "mkl": 4})
    split = check(
        project, low, high, "host", "threads of openblas 2 -> 1", "LANG C -> unset", "threads of openmp 2 -> 1"
    )
    alone = split.make(frozenset([0]))
    assert (alone.variables, alone.threads) == (
        {"OPENBLAS_NUM_THREADS": "1", "LANG": "C"},
        {"openblas": 1, "openmp": 2},
    )
    assert differing_axes(project, fit(threads={"openblas": 2}), fit(threads={"mkl": 2})) == []


# --- environment ---


def test_packages_are_parts(project: Project, environments: Callable[..., str]) -> None:
    low = fit(environment=environments(numpy="2.0", joblib="1.0", scipy="1.0", pip="23"), packages={"scipy": "1.1"})
    high = fit(environment=environments("3.12.1", numpy="2.1", scipy="1.0", shap="1", pip="24"))
    names = ["python 3.11.7 -> 3.12.1", "joblib 1.0 -> unset", "numpy 2.0 -> 2.1", "scipy 1.1 -> 1.0"]
    split = check(project, low, high, "environment", *names, "shap unset -> 1")
    assert split.make(frozenset([1, 3])) == change(low, packages={"joblib": None})
    assert split.make(frozenset([0, 4])) == change(low, packages={"python": "3.12.1", "scipy": "1.1", "shap": "1"})


def test_what_no_version_tells_comes_with_its_environment(project: Project, environments: Callable[..., str]) -> None:
    mine = partial(Package, "mine", "0.1", editable=True)
    other = partial(Package, "other", "1.0")
    low = fit(environment=environments(numpy="2.0", mine=mine(source="1"), other=other(record="a")))
    high = fit(environment=environments(numpy="2.1", mine=mine(source="2"), other=other(record="b")))
    both = "mine 0.1 (other files), other 1.0 (other files)"
    split = check(project, low, high, "environment", "numpy 2.0 -> 2.1", both)
    assert split.make(frozenset([1])) == change(high, packages={"numpy": "2.0"})
    assert split.make(frozenset([0])) == change(low, packages={"numpy": "2.1"})


def test_tools_count_only_where_nothing_else_differs(project: Project, environments: Callable[..., str]) -> None:
    ours = partial(Package, "lin-lineage", editable=True)
    low, high = (fit(environment=environments(pip=version, numpy="2.0")) for version in ("23", "24"))
    check(project, low, high, "environment", "pip 23 -> 24")
    low, high = (fit(environment=environments(lin=ours("0.1", source=source), numpy="2.0")) for source in "12")
    assert low.environment != high.environment
    assert differing_axes(project, low, high) == []
    assert differing_axes(project, low, fit(environment=environments(numpy="2.0", lin=ours("0.1")))) == []


def test_an_environment_that_was_not_recorded_is_whole(project: Project, environments: Callable[..., str]) -> None:
    low, high = fit(), fit(environment=environments(numpy="2.0"))
    assert differing_axes(project, low, high) == ["environment"]
    assert split_difference(project, low, high) is None
    assert take_axes(low, high, ["environment"]) == high


# --- source ---

TRAIN = "import lin\n\n\ndef fit(x):\n    return x\n" + "#\n" * 9 + "fit(1)\n"


def test_files_are_parts(project: Project, trees: Callable[..., str]) -> None:
    low = fit(source=trees({"a.py": "1", "b.py": "2", "c.py": "3", "old.py": "4", "run": "5", "big": 9, "out": 7}))
    high = fit(
        source=trees(
            {"a.py": "1.", "c.py": "3", "d.py": "", "new.py": "4", "run": "5", "big": 8, "out": "x"},
            executable=("run",),
        )
    )
    names = ["a.py", "b.py removed", "d.py added", "old.py -> new.py", "out, left out of a snapshot", "run: executable"]
    split = check(project, low, high, "source", *names)
    alone = split.make(frozenset([3])).source
    assert alone == trees({"a.py": "1", "b.py": "2", "c.py": "3", "new.py": "4", "run": "5", "big": 9, "out": 7})


def test_one_file_falls_into_hunks_and_a_hunk_into_blocks(project: Project, trees: Callable[..., str]) -> None:
    after = TRAIN.replace("lin\n", "lin as l\n").replace("return x", "y = 2 * x\n    return y").replace("(1)", "(2)")
    low, high = (fit(source=trees({"train.py": text, "b.py": ""})) for text in (TRAIN, after))
    split = check(project, low, high, "source", "train.py: lines 1-6: import lin as l", "train.py: line 16: fit(2)")
    hunk = split.make(frozenset([0]))
    assert hunk.source == trees({"train.py": after.replace("fit(2)\n", "fit(1)\n"), "b.py": ""})
    blocks = check(project, low, hunk, "source", "train.py: line 1: import lin as l", "train.py: lines 5-6: y = 2 * x")
    line = blocks.make(frozenset([0]))
    check(project, low, line, "source", "train.py: line 1: import lin as l")
    check(project, line, low, "source", "train.py: line 1: import lin")
    assert blocks.make(frozenset([1])).source == trees(
        {"train.py": TRAIN.replace("return x", "y = 2 * x\n    return y"), "b.py": ""}
    )


def test_removed_lines_are_told_by_where_they_were(project: Project, trees: Callable[..., str]) -> None:
    low, high = (fit(source=trees({"a.py": text})) for text in (TRAIN, TRAIN.replace("    return x\n", "")))
    check(project, low, high, "source", "a.py: line 5 removed: return x")


def test_what_is_no_text_is_whole(project: Project, trees: Callable[..., str]) -> None:
    low, high = (fit(source=trees({"a.bin": content})) for content in (b"\0\n1\n", b"\0\n2\n"))
    check(project, low, high, "source", "a.bin")


def test_what_no_snapshot_holds_is_no_difference(project: Project, trees: Callable[..., str]) -> None:
    low, high = (fit(source=trees({"a.py": "", "big": size})) for size in (1, 2))
    assert differing_axes(project, low, high) == []
    assert differing_axes(project, low, fit()) == ["source"]
    assert split_difference(project, low, fit()) is None


# --- data ---

ROWS = pa.table(
    {"ID": range(9), "rm": [float(n) for n in range(9)], "medv": [None if n % 3 else 5.0 for n in range(9)]}
)


@pytest.fixture
def housing(project: Project) -> Project:
    """A project with the table `housing`, empty of commits but the first."""
    create_table(project.root / "data/housing", ROWS.to_reader(), BY, now_ms=0)
    return declare_table(project, "housing", TableSetting(path="data/housing", key=["ID"]))


@pytest.fixture
def housing_table(housing: Project) -> Table:
    return open_table(housing, "housing")


def replace(table: Table, rows: pa.Table) -> None:
    snapshot = table.log.snapshot()
    replace_rows(table, snapshot, rows.to_reader(), BY, now_ms=snapshot.version + 1)


def reading(project: Project, table: Table, version: int | None = None) -> Recipe:
    return fit(tables=[pin_input(project, table, version)[1]])


def version_of(recipe: Recipe) -> int:
    (table,) = recipe.tables
    assert isinstance(table, TableRef)
    return table.version


def test_commits_are_ordered_parts(housing: Project, housing_table: Table) -> None:
    fill_column(housing_table, housing_table.log.snapshot(), "medv", pa.array([1.5] * 9), BY, now_ms=1)
    model = msgspec.structs.replace(BY, user="eve", model="boston@2")
    replace_rows(housing_table, housing_table.log.snapshot(), ROWS.slice(2).to_reader(), model, now_ms=2)
    low, high = reading(housing, housing_table, 0), reading(housing, housing_table)
    names = ["housing@1: WRITE by ann", "housing@2: WRITE by eve with boston@2"]
    split = check(housing, low, high, "data", *names, ordered=True)
    assert [version_of(split.make(frozenset(range(count)))) for count in range(3)] == [0, 1, 2]
    assert split.make(frozenset([0])) == reading(housing, housing_table, 1)
    with pytest.raises(ValueError, match="there is no recipe with the parts"):
        split.make(frozenset([1]))
    back = check(housing, high, low, "data", *(f"without {name}" for name in reversed(names)), ordered=True)
    assert [version_of(back.make(frozenset(range(count)))) for count in range(3)] == [2, 1, 0]


def test_a_restore_takes_what_it_undid_with_it(housing: Project, housing_table: Table) -> None:
    replace(housing_table, ROWS.slice(1))
    restore_version(housing_table, 0, BY)
    replace(housing_table, ROWS.slice(2))
    replace(housing_table, ROWS.slice(3))
    assert differing_axes(housing, reading(housing, housing_table, 0), reading(housing, housing_table, 2)) == []
    low, high = reading(housing, housing_table, 0), reading(housing, housing_table)
    split = check(housing, low, high, "data", "housing@3: WRITE by ann", "housing@4: WRITE by ann", ordered=True)
    assert version_of(split.make(frozenset([0]))) == 3


def test_what_cannot_be_read_is_joined_with_the_next(housing: Project, housing_table: Table) -> None:
    for start in range(1, 5):
        replace(housing_table, ROWS.slice(start))
    low, high = reading(housing, housing_table, 0), reading(housing, housing_table)
    (gone,) = housing_table.log.snapshot(2).files
    (housing_table.root / gone.path).unlink()
    names = ["housing@1: WRITE by ann", "housing@2-3: WRITE by ann", "housing@4: WRITE by ann"]
    split = check(housing, low, high, "data", *names, ordered=True)
    assert [version_of(split.make(frozenset(range(count)))) for count in range(4)] == [0, 1, 3, 4]
    (altered,) = housing_table.log.snapshot(1).files
    (housing_table.root / altered.path).write_bytes(b"x")
    split = check(housing, low, high, "data", *names, ordered=True)
    with pytest.raises(NotReproducibleError, match="housing@1 cannot be read"):
        split.make(frozenset([0]))


WITHIN = "housing@1: WRITE by ann, "


def test_one_commit_falls_into_kinds_and_columns(housing: Project, housing_table: Table) -> None:
    after = pa.concat_tables([ROWS.slice(2), pa.table({"ID": [20], "rm": [20.0], "medv": [20.0]})])
    medv = [5.0 if value is None else value for value in after["medv"].to_pylist()]
    after = after.set_column(2, "medv", pa.array(medv)).set_column(
        1, "rm", pa.array([-1.0, *after["rm"].to_pylist()[1:]])
    )
    after = after.take([1, 0, *range(2, 8)]).append_column("z", pa.array(range(8)))
    schema = {"schema_mode": "overwrite"}
    write(housing_table, after, **schema)
    low, high = reading(housing, housing_table, 0), reading(housing, housing_table)
    within = "housing@1: WRITE, "
    names = [
        "inserted rows (1)",
        "deleted rows (2)",
        "updated medv (5 cells)",
        "updated rm (1 cell)",
        "added column z",
        "order of rows",
    ]
    split = check(housing, low, high, "data", *(within + name for name in names))
    (base,), (other,) = low.tables, high.tables
    assert isinstance(base, TableRef)
    assert isinstance(other, TableRef)
    mix = Mix(base=base, other=other, key=["ID"], parts=["updated", "inserted"], columns=["medv", "z"])
    assert split.make(frozenset([0, 2, 4])) == change(low, tables=[mix])
    assert split.make(frozenset([1, 5])) == change(
        low, tables=[Mix(base=base, other=other, key=["ID"], parts=["deleted", "order"])]
    )
    two = split.make(frozenset([2, 5]))
    check(housing, low, two, "data", within + names[2], within + names[5])
    rest = [within + name for number, name in enumerate(names) if number not in {2, 5}]
    check(housing, two, high, "data", *rest)
    check(housing, two, low, "data", *(f"{within}without {names[number]}" for number in (2, 5)))


def write(table: Table, rows: pa.Table, **options: Any) -> None:
    from deltalake import write_deltalake

    write_deltalake(table.root, rows, mode="overwrite", **options)


def test_a_single_change_is_named(housing: Project, housing_table: Table) -> None:
    fill_column(housing_table, housing_table.log.snapshot(), "medv", pa.array([1.5] * 9), BY, now_ms=1)
    split = check(
        housing,
        reading(housing, housing_table, 0),
        reading(housing, housing_table),
        "data",
        f"{WITHIN}updated medv (6 cells)",
    )
    assert split.make(frozenset([0])) == reading(housing, housing_table)


def test_order_alone_is_one_part(housing: Project, housing_table: Table) -> None:
    replace(housing_table, ROWS.take([*range(8, -1, -1)]))
    low, high = reading(housing, housing_table, 0), reading(housing, housing_table)
    check(housing, low, high, "data", f"{WITHIN}order of rows")
    by_id = Table(housing_table.name, housing_table.root, order=("ID",))
    assert differing_axes(housing, low, reading(housing, by_id, 0)) == ["data"]
    check(housing, high, reading(housing, by_id, 1), "data", "housing@1, in another order, order of rows")


def test_an_order_that_is_declared_is_a_step(housing: Project, housing_table: Table) -> None:
    replace(housing_table, ROWS.slice(1).take([*range(7, -1, -1)]))
    by_id = Table(housing_table.name, housing_table.root, order=("ID",))
    low, high = reading(housing, housing_table, 0), reading(housing, by_id)
    split = check(
        housing, low, high, "data", "housing@1: WRITE by ann", "housing read in the order of ID", ordered=True
    )
    assert split.make(frozenset([0])) == reading(housing, housing_table)


def test_without_a_log_the_versions_are_compared(housing: Project, housing_table: Table) -> None:
    for start in (1, 2):
        replace(housing_table, ROWS.slice(start))
    low, high = reading(housing, housing_table, 0), reading(housing, housing_table)
    DeltaTable(housing_table.root).create_checkpoint()
    for version in (0, 1):
        (housing_table.root / f"_delta_log/{version:020d}.json").unlink()
    check(housing, low, high, "data", "housing@0 -> housing@2, deleted rows (2)")
    for path in housing_table.root.glob("*.parquet"):
        path.unlink()
    with pytest.raises(OutsideError, match="is missing"):
        split_difference(housing, low, high)


def test_tables_need_no_key(project: Project) -> None:
    table = Table("housing", project.root / "data/housing")
    create_table(table.root, ROWS.to_reader(), BY, now_ms=0)
    fill_column(table, table.log.snapshot(), "medv", pa.array([1.5] * 9), BY, now_ms=1)
    low, high = reading(project, table, 0), reading(project, table)
    check(project, low, high, "data", f"{WITHIN}updated medv (6 cells)")
    replace(table, ROWS.slice(1))
    low, high = high, reading(project, table)
    names = [f"housing@2: WRITE by ann, {name}" for name in ("inserted rows (6)", "deleted rows (7)", "order of rows")]
    (mix,) = check(project, low, high, "data", *names).make(frozenset([1])).tables
    assert isinstance(mix, Mix)
    assert (mix.key, mix.parts) == ([], ["deleted"])


def test_what_cannot_be_matched_is_one_part(project: Project) -> None:
    table = Table("housing", project.root / "data/housing")
    create_table(table.root, ROWS.select(["ID"]).to_reader(), BY, now_ms=0)
    write(table, ROWS.select(["rm"]), schema_mode="overwrite")
    check(project, reading(project, table, 0), reading(project, table), "data", "housing@1: WRITE", ordered=True)


def test_what_is_read_is_divided_first(housing: Project, housing_table: Table) -> None:
    replace(housing_table, ROWS.slice(1))
    old, new = (pin_input(housing, housing_table, version)[1] for version in (0, 1))
    moved = change(old, location="../elsewhere", version=7)
    model = ModelRef("boston", 1, "a" * 64)
    low = command(
        "x",
        tables=[change(old, table="same"), old, change(old, table="gone")],
        files=[FileRef("a.csv", "0", 1), FileRef("b.csv", "0", 1)],
        models=[model],
    )
    high = command(
        "x",
        tables=[new, change(moved, table="same"), change(new, table="come")],
        files=[FileRef("a.csv", "0", 1), FileRef("b.csv", "1", 1)],
        models=[change(model, version=2, sha256="b")],
    )
    names = ["housing@0 -> housing@1", "gone@0 removed", "b.csv changed", "boston@1 -> boston@2", "come@1 added"]
    split = check(housing, low, high, "data", *names)
    alone = split.make(frozenset([0, 4]))
    assert alone == change(low, tables=[low.tables[0], new, low.tables[2], high.tables[2]])
    check(housing, low, split.make(frozenset([0])), "data", f"{WITHIN}deleted rows (1)")
    check(housing, low, split.make(frozenset([2])), "data", "b.csv changed")
    twice = change(low, tables=[*low.tables, change(new, table="gone")])
    check(housing, low, twice, "data", "gone changed")
