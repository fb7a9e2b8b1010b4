"""Delta tables that the program opens through deltalake: which versions it read and made, and its run in each commit.

A table counts as read, at the version it is at, when its rows or files are asked for; opening it or asking for its
schema or history is no reading. This is for the API of deltalake 1; what another version has otherwise is not seen.
"""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from .scratch import Scratch
    from .watch import Watch

_RUN = "lin.run"
"""The key in a commit that `lin history` shows as its run."""

_READS = ("to_pyarrow_dataset", "to_pyarrow_table", "to_pandas", "scan", "load_cdf", "file_uris", "files",
          "get_add_actions", "partitions", "count", "deletion_vectors", "__datafusion_table_provider__")  # fmt: skip
_CHANGES = {
    "DeltaTable": ("update", "delete"),
    "TableMerger": ("execute",),
    "TableOptimizer": ("compact", "z_order"),
}
"""What makes a version out of the one that it reads."""
_COMMITS = {
    "DeltaTable": ("restore", "vacuum", "repair", "create_write_transaction"),
    "TableAlterer": ("add_feature", "add_columns", "add_constraint", "drop_constraint", "drop_column_not_null",
                     "set_table_properties", "set_table_name", "set_table_description", "set_column_metadata"),
}  # fmt: skip
"""What makes a version without reading rows."""


def change(module: ModuleType, watch: Watch) -> None:
    """Wrap what of this module reads tables or commits to them."""
    name = module.__name__
    if name == "deltalake.table":
        if watch.scratch is not None:
            _wrap_addresses(module, watch.scratch)
        _wrap_methods(module, watch)
        _wrap_create(module, watch)
    elif name == "deltalake.query":
        _wrap_register(module, watch)
    elif name == "deltalake.writer.writer":
        _wrap_write(module, watch)
    else:
        for maker in ("convert_to_deltalake", "create_table_with_add_actions"):
            if hasattr(module, maker):
                setattr(module, maker, _making(getattr(module, maker), watch))


def _wrap_addresses(module: Any, scratch: Scratch) -> None:
    """Let tables be those of the scratch folder, whatever they are called."""
    begin, ask = module.DeltaTable.__init__, module.DeltaTable.is_deltatable

    @functools.wraps(begin)
    def moved_init(self: Any, table_uri: Any, *arguments: Any, **options: Any) -> None:
        begin(self, scratch.table(table_uri), *arguments, **options)

    @functools.wraps(ask)
    def moved_ask(table_uri: Any, *arguments: Any, **options: Any) -> Any:
        return ask(scratch.table(table_uri), *arguments, **options)

    module.DeltaTable.__init__ = moved_init
    module.DeltaTable.is_deltatable = staticmethod(moved_ask)


def _moved(
    scratch: Scratch, arguments: tuple[Any, ...], options: dict[str, Any], skip: int
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What a function is called with, the address after `skip` arguments turned into one of the scratch folder."""
    named = {key: scratch.table(given) for key, given in options.items() if key in {"table_uri", "uri"}}
    address = [scratch.table(given) for given in arguments[skip : skip + 1]]
    return (*arguments[:skip], *address, *arguments[skip + 1 :]), {**options, **named}


def _wrap_methods(module: ModuleType, watch: Watch) -> None:
    for method in _READS:
        _wrap(module, "DeltaTable", method, watch, reads=True)
    for names, reads in ((_CHANGES, True), (_COMMITS, False)):
        for owner, methods in names.items():
            for method in methods:
                _wrap(module, owner, method, watch, reads=reads, commits=True)
    _wrap(module, "DeltaTable", "merge", watch)  # what it returns is executed later, with these properties


def _wrap(
    module: ModuleType, owner: str, name: str, watch: Watch, *, reads: bool = False, commits: bool = False
) -> None:
    """Tell what a method of a table, or of what belongs to one, reads and makes."""
    place = getattr(module, owner, None)
    original = getattr(place, name, None)
    if original is None:
        return

    @functools.wraps(original)
    def watched(self: Any, *arguments: Any, **options: Any) -> Any:
        before = watch.quietly(_look, self)
        if reads and before is not None:
            watch.quietly(watch.table, "read", *before)
        options = watch.quietly(_sign, original, (self, *arguments), options, watch.run) or options
        try:
            return original(self, *arguments, **options)
        finally:
            if commits and before is not None:
                watch.quietly(_tell_made, self, before, watch)

    setattr(place, name, watched)


def _wrap_register(module: Any, watch: Watch) -> None:
    """A query reads the tables that it is given."""
    original = module.QueryBuilder.register

    @functools.wraps(original)
    def watched(self: Any, table_name: Any, delta_table: Any) -> Any:
        seen = watch.quietly(_look, delta_table)
        if seen is not None:
            watch.quietly(watch.table, "read", *seen)
        return original(self, table_name, delta_table)

    module.QueryBuilder.register = watched


def _wrap_write(module: Any, watch: Watch) -> None:
    """`write_deltalake` is given the table that it would open itself: that one knows afterwards what was made."""
    original = module.write_deltalake

    @functools.wraps(original)
    def watched(table_or_uri: Any, *arguments: Any, **options: Any) -> Any:
        if watch.scratch is not None:
            table_or_uri = watch.scratch.table(table_or_uri)
        opened = watch.quietly(_open, table_or_uri, options.get("storage_options"))
        table = opened[0] if opened else None
        before = watch.quietly(_look, table) if table is not None else None
        signed = watch.quietly(_sign, original, (table_or_uri, *arguments), options, watch.run) or options
        try:
            result = original(table_or_uri if table is None else table, *arguments, **signed)
        finally:
            if before is not None:
                watch.quietly(_tell_made, table, before, watch)
        if opened and table is None:
            watch.quietly(watch.table, "wrote", str(table_or_uri), 0)
        return result

    module.write_deltalake = watched


def _wrap_create(module: Any, watch: Watch) -> None:
    made = module.DeltaTable.__dict__["create"].__func__
    module.DeltaTable.create = classmethod(_making(made, watch, skip=1))


def _making(original: Callable[..., Any], watch: Watch, skip: int = 0) -> Callable[..., Any]:
    """Tell of version 0 of a table that a function makes; `skip` arguments stand before its address."""

    @functools.wraps(original)
    def watched(*arguments: Any, **options: Any) -> Any:
        if watch.scratch is not None:
            arguments, options = _moved(watch.scratch, arguments, options, skip)
        given = options.get("table_uri", options.get("uri"))
        address = arguments[skip] if len(arguments) > skip else given
        opened = watch.quietly(_open, address, options.get("storage_options"))
        signed = watch.quietly(_sign, original, arguments, options, watch.run) or options
        before = watch.quietly(_look, opened[0]) if opened and opened[0] is not None else None
        result = original(*arguments, **signed)
        if before is not None:
            watch.quietly(_tell_made_anew, address, before, options.get("storage_options"), watch)
        elif opened:
            watch.quietly(watch.table, "wrote", str(address), 0)
        return result

    return watched


def _look(subject: Any) -> tuple[str, int]:
    """The address and the version of a table, or of the table behind what is made of one."""
    raw = getattr(subject, "table", subject)._table  # noqa: SLF001  all of them hold it so
    address = raw.table_uri
    return (address() if callable(address) else address), raw.version()


def _tell_made(subject: Any, before: tuple[str, int], watch: Watch) -> None:
    """Tell of the version that the table is at, if it was not at it before: what changes nothing commits nothing."""
    address, version = _look(subject)
    if version != before[1]:
        watch.table("wrote", address, version)


def _tell_made_anew(address: Any, before: tuple[str, int], storage: Any, watch: Watch) -> None:
    opened = _open(address, storage)
    if opened and opened[0] is not None:
        _tell_made(opened[0], before, watch)


def _open(address: Any, storage: Any) -> tuple[Any] | None:
    """A table as deltalake opens it, (None,) where there is none yet, and None where that cannot be told."""
    if not isinstance(address, (str, Path)):
        return (address,) if hasattr(address, "_table") else None
    from deltalake.writer._utils import try_get_deltatable

    return (try_get_deltatable(address, storage),)


def _sign(function: Any, arguments: tuple[Any, ...], options: dict[str, Any], run: str) -> dict[str, Any] | None:
    """The options with the run among the commit's own metadata, where the function takes such; the caller's win."""
    code = function.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    keyword = "commit_properties"
    if keyword not in names or len(arguments) > min(names.index(keyword), code.co_argcount):
        return None  # it takes none, or was given them by position
    from deltalake import CommitProperties

    given = options.get(keyword)
    properties = CommitProperties() if given is None else copy.copy(given)
    properties.custom_metadata = {_RUN: run, **(properties.custom_metadata or {})}
    return {**options, keyword: properties}
