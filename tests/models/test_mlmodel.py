"""`MLmodel`: what is written is read back, and of columns as MLflow has them the types that lin has, too."""

from datetime import UTC, datetime

import pytest

from lin.models.mlmodel import MLModel, read_mlmodel, write_mlmodel
from lin.models.signature import Column, Signature


def columns(*types: str | None) -> list[Column]:
    return [Column(name=f"c{at}", type=kind, required=at != 1) for at, kind in enumerate(types)]


def write(signature: Signature, **changes: object) -> bytes:
    facts = {
        "serialization": "skops",
        "signature": signature,
        "example": True,
        "trusted_types": ["mine.Own"],
        "versions": {"python": "3.11.7", "scikit-learn": "1.9.1"},
        "created": datetime(2026, 11, 22, 13, 46, 7, 636067, tzinfo=UTC),
        "uuid": "0" * 32,
        "run": "1" * 32,
        "size": 7,
        "metadata": {"lin": "boston@1"},
    }
    return write_mlmodel(**(facts | changes))  # type: ignore[arg-type]


SIGNATURE = Signature(
    inputs=columns("double", "long", "integer", "float", "string", "boolean", "binary", "timestamp_ntz"),
    outputs=[Column(name="predicted", type="double", required=True)],
)


def test_what_is_written_is_read() -> None:
    found = read_mlmodel(write(SIGNATURE))
    assert found == MLModel("model.skops", "skops", SIGNATURE, "input_example.json", "lin")
    assert not found.unsafe
    pickled = read_mlmodel(write(SIGNATURE, serialization="pickle", example=False))
    assert pickled == MLModel("model.pkl", "pickle", SIGNATURE, None, "lin")
    assert pickled.unsafe


def test_the_same_facts_give_the_same_bytes() -> None:
    assert write(SIGNATURE) == write(SIGNATURE)
    assert b"utc_time_created: '2026-11-22 13:46:07.636067'\n" in write(SIGNATURE)


def test_types_that_mlflow_has_not_are_any() -> None:
    signature = Signature(inputs=columns("decimal(9,2)", None, "timestamp", "date", "short", "byte"), outputs=[])
    assert [column.type for column in read_mlmodel(write(signature)).signature.inputs] == [
        *(None, None, None, None),
        *("integer", "integer"),
    ]


def test_a_model_without_columns_has_no_signature() -> None:
    assert read_mlmodel(write(Signature(inputs=[], outputs=[]))).signature is None


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ('[{"type": "tensor", "tensor-spec": {"dtype": "str", "shape": [-1]}}]', [("predicted", "string")]),
        ('[{"type": "tensor", "tensor-spec": {"dtype": "complex128", "shape": [-1]}}]', [("predicted", None)]),
        ('[{"type": "long", "name": "label", "required": true}]', [("label", "long")]),
        ('[{"type": {"more": 1}, "name": "label"}]', [("label", None)]),
    ],
)
def test_outputs_are_columns(outputs: str, expected: list[tuple[str, str | None]]) -> None:
    text = f"""
flavors:
  sklearn: {{"pickled_model": "m.skops", "serialization_format": "skops"}}
mlflow_version: 3.17.2
signature:
  inputs: '[{{"type": "double", "name": "rm", "required": true}}]'
  outputs: '{outputs}'
"""
    found = read_mlmodel(text.encode())
    assert found.made_by == "MLflow 3.17.2"
    assert found.signature is not None
    assert [(column.name, column.type) for column in found.signature.outputs] == expected
