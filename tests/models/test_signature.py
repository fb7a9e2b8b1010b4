"""The columns of a model: told by the run's features and pin, or by the imported folder; rows held against them."""

from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lin.errors import StoreError, UsageError
from lin.models.changes import register_model
from lin.models.registry import find_version, read_registry
from lin.models.signature import SIGNATURE, Column, Signature, conform_rows, read_signature, require_columns
from lin.project import Project
from lin.records import encode
from lin.runs.fit import MODEL
from lin.runs.query import read_run
from lin.runs.record import begin_run, capture


def signature_of(project: Project, reference: str) -> Signature:
    version = find_version(read_registry(project.store), reference)
    return read_signature(project, version, read_run(project.store, version.run))


def takes(**kinds: str | None) -> Signature:
    inputs = [Column(name=name, type=kind, required=True) for name, kind in kinds.items()]
    return Signature(inputs=inputs, outputs=[Column(name="medv", type="double", required=True)])


def conform(signature: Signature, columns: dict[str, Any], **options: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = conform_rows(
        signature, pa.RecordBatch.from_pydict(columns), "boston@1", **options
    ).to_pydict()
    return found


def test_a_fit_has_its_features_in_the_types_of_its_pin(trained: Project) -> None:
    assert signature_of(trained, "boston@1") == Signature(
        inputs=[Column(name="rm", type="double", required=True), Column(name="lstat", type="double", required=True)],
        outputs=[Column(name="medv", type="double", required=True)],
    )
    assert signature_of(trained, "names@1").outputs == [Column(name="name", type="string", required=True)]


def register_with(project: Project, signature: bytes) -> None:
    version = find_version(read_registry(project.store), "boston@1")
    run = begin_run(project, capture(project), kind="import", name="a folder")
    run.log_artifact(project.store.blobs.read(version.sha256), MODEL)
    run.log_artifact(signature, SIGNATURE)
    run.seal("finished")
    register_model(project, run.id, "imported")


def test_an_imported_model_has_the_signature_of_its_folder(trained: Project) -> None:
    kept = takes(rm="long", lstat=None)
    register_with(trained, encode(kept))
    assert signature_of(trained, "imported@1") == kept


def test_a_damaged_signature_is_told(trained: Project) -> None:
    register_with(trained, msgspec.json.encode({"inputs": [{"name": 1}], "outputs": []}))
    with pytest.raises(StoreError, match="the signature of model imported@1 is damaged"):
        signature_of(trained, "imported@1")


def test_rows_are_put_in_the_order_and_types_that_the_model_takes() -> None:
    given_rows = {"lstat": [1, None], "other": ["x", "y"], "rm": [None, None], "name": ["a", None]}
    found = conform_rows(
        takes(rm="double", lstat="double", name="string"), pa.RecordBatch.from_pydict(given_rows), "m@1"
    )
    assert found.schema == pa.schema([("rm", pa.float64()), ("lstat", pa.float64()), ("name", pa.string())])
    assert found.to_pydict() == {"rm": [None, None], "lstat": [1.0, None], "name": ["a", None]}


def test_a_column_that_need_not_be_there_is_null() -> None:
    optional = Signature(inputs=[Column(name="rm", type="double", required=False)], outputs=[])
    assert conform(optional, {"lstat": [1.0, 2.0]}) == {"rm": [None, None]}


@pytest.mark.parametrize(
    ("kind", "values", "told"),
    [
        ("double", ["7", "much"], "row 3 has '7'"),
        ("double", [None, 2**53 + 1], "row 4 has 9007199254740993"),
        ("double", [True], "row 3 has True"),
        ("long", [1.0, 2.5], "row 4 has 2.5"),
        ("long", [1.0, float("nan")], "row 4 has nan"),
        ("string", [None, 1], "row 4 has 1"),
        ("boolean", [0], "row 3 has 0"),
        ("date", ["2026-11-22"], "row 3 has '2026-11-22'"),
        ("string", [["a"]], "row 3 has ['a']"),
    ],
)
def test_the_first_value_of_another_type_is_named(kind: str, values: list[Any], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        conform(takes(x=kind), {"x": values}, first=3)
    assert caught.value.message == f"the rows do not fit model boston@1: 'x' is not of type {kind}: {told}"


def test_all_that_is_wrong_is_told_at_once_with_the_nearest_names() -> None:
    with pytest.raises(UsageError) as caught:
        conform(takes(rm="double", lstat="double", tax="long"), {"rm": ["a"], "lstatt": [1], "tax": [0.5]})
    assert caught.value.message == (
        "the rows do not fit model boston@1: 'lstat' is missing (there is 'lstatt'); "
        "'rm' is not of type double: 'a'; 'tax' is not of type long: 0.5"
    )
    assert caught.value.hint == "it needs: rm double, lstat double, tax long"


def test_long_texts_and_many_problems_are_cut() -> None:
    with pytest.raises(UsageError, match=r"'x0' is not of type long: '9{40}…'; .*; 'x4' [^;]*, and 2 more$"):
        conform(takes(**dict.fromkeys([f"x{n}" for n in range(7)], "long")), {f"x{n}": ["9" * 99] for n in range(7)})
    with pytest.raises(UsageError, match="'a' is missing; 'b' is missing"):
        require_columns(takes(a=None, b=None), ["c"], "m@1")


def test_what_has_nothing_to_do_with_the_model_is_known() -> None:
    assert takes(rm="double").unknown(["ID", "rm", "medv", "tax"]) == ["ID", "tax"]


def test_fields_of_a_csv_file_are_read_in_the_types_that_the_model_takes() -> None:
    fields = {"x": ["1", " 2.5 ", "NA", "", "1e3", None], "n": ["1", "2", "null", "-3", "4", None]}
    found = conform(takes(x="double", n="long"), fields, text=True)
    assert found == {"x": [1.0, 2.5, None, None, 1000.0, None], "n": [1, 2, None, -3, 4, None]}
    assert conform(takes(s="string"), {"s": ["NA", " 1"]}, text=True) == {"s": ["NA", " 1"]}
    with pytest.raises(UsageError, match="'x' is not of type double: row 12 has 'much'"):
        conform(takes(x="double"), {"x": ["1", "", "much", "more"]}, first=10, text=True)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(), st.integers(-(2**53), 2**53).map(float)), max_size=40))
def test_numbers_written_into_a_csv_field_come_back(numbers: list[float | None]) -> None:
    fields = ["" if number is None else repr(number) for number in numbers]
    found = conform(takes(x="double"), {"x": pa.array(fields, pa.string())}, text=True)["x"]
    assert [repr(number) for number in found] == [repr(number) for number in numbers]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 200), st.integers(0, 199))
def test_the_place_of_the_first_wrong_value_is_found(count: int, wrong: int) -> None:
    values = ["1"] * count + ["x"] + ["y"] * wrong
    with pytest.raises(UsageError, match=f"row {count + 1} has 'x'$"):
        conform(takes(x="long"), {"x": values}, first=1, text=True)
