"""Changes to libraries when the program imports them, at once after their own code ran.

Nothing is imported that the program does not import, and a library that is not as expected stays as it is.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

    from .watch import Watch

_TABLES = {"deltalake.table", "deltalake.writer.writer", "deltalake.writer.convert_to", "deltalake.transaction",
           "deltalake.query"}  # fmt: skip
_READERS = {"pyarrow.parquet.core", "pyarrow.dataset", "pyarrow.csv", "pyarrow.json", "pyarrow.feather", "pyarrow.orc",
            "pandas", "polars", "duckdb"}  # fmt: skip


class Patcher:
    """A finder of modules that finds none itself: it lets the others find, and is there when the module is loaded."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The module as the other finders find it, if it is one to change; else None, and they go on by themselves."""
        if name not in _TABLES and name not in _READERS:
            return None
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target) if finder is not self else None
            if spec is not None:
                self._watch.quietly(self._follow, spec)
                return spec
        return None

    def _follow(self, spec: ModuleSpec) -> None:
        loader: Any = spec.loader
        load = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            del loader.exec_module
            load(module)
            self._watch.quietly(self._change, module)

        loader.exec_module = exec_module

    def _change(self, module: ModuleType) -> None:
        if module.__name__ in _TABLES:
            from .tables import change
        else:
            from .readers import change
        change(module, self._watch)
