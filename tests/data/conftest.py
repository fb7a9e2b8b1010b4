"""Builders of real Delta tables for the tests of `lin.data`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lin.data.tables import Table

MakeTable = Callable[..., Table]


@pytest.fixture
def make_table(tmp_path: Path) -> MakeTable:
    """Creates a Delta table `name` with delta-rs under `tmp_path`, one version for each arrow table given.

    The later ones are appended; `key` and `order` go to the `Table`, every other option to `write_deltalake`.
    """

    def make(
        *parts: pa.Table,
        name: str = "housing",
        key: Sequence[str] = ("id",),
        order: Sequence[str] = (),
        **options: Any,
    ) -> Table:
        from deltalake import write_deltalake

        root = tmp_path / name
        for part in parts:
            write_deltalake(root, part, mode="append", **options)
        return Table(name=name, root=root, key=tuple(key), order=tuple(order))

    return make
