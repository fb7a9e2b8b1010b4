"""What it takes to run something again: the recipe of a recorded run, or of one in which something is otherwise.

A recipe names blobs and is one itself; its digest identifies what was asked for, whatever came of it.
"""

from typing import Literal

from lin.records import FileRef, Fit, ModelRef, Param, Record, TableRef

AXES = ("data", "source", "environment", "params", "seed", "host")
"""In what two runs may differ, in the order in which it is told."""

Part = Literal["inserted", "deleted", "updated", "order", "column order"]


class Mix(Record, frozen=True, tag_field="type", tag="mix"):
    """Rows that no version of a table has: those of `base`, with a part of what changed from there to `other`.

    `parts` says which changes are taken over: rows that were `inserted`, rows that were `deleted`, columns that were
    `updated`, with all their cells, the `order` of rows, and the `column order`. `columns` are the updated ones: those
    with other cells, added, dropped or of another type; None means all. `key` tells which rows belong together; if it
    is empty, rows that are equal do. With all parts and all columns it is `other`, with none `base`.
    """

    base: TableRef
    other: TableRef
    key: list[str]
    parts: list[Part] = []
    columns: list[str] | None = None


class Recipe(Record, frozen=True, tag_field="format", tag="recipe/1"):
    """All that it takes to run something again, by content: a recorded run, or one in which something is otherwise.

    `environment` is the one to run in, with `packages` put in place of its own: a version each, None for none at all,
    and `python` among them. `variables` are those that may change results, and no others of that kind are set;
    `threads` are those of each numeric library, by its name in `Environment.blas`.
    `golden` is a blob with the rows that the model is asked to predict, instead of a sample of its own. `repeat` tells
    the same recipe, done again, from the first time.
    """

    kind: Literal["train", "command"]
    name: str
    fit: Fit | None = None
    command: list[str] = []
    folder: str = "."
    params: dict[str, Param] = {}
    experiment: str | None = None
    tables: list[TableRef | Mix] = []
    files: list[FileRef] = []
    models: list[ModelRef] = []
    source: str | None = None
    environment: str | None = None
    packages: dict[str, str | None] = {}
    variables: dict[str, str] = {}
    threads: dict[str, int] = {}
    golden: str | None = None
    repeat: int = 0
