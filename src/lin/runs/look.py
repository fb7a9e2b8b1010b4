"""A look at a table version as a file: a PNG, or an HTML page that needs nothing beside it."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from lin.data.profile import Look, TableProfile, profile_version
from lin.data.tables import Table
from lin.errors import OutsideError, UsageError
from lin.store.whole import write_whole


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """A picture that was written, and the numbers behind it."""

    path: str
    bytes: int
    profile: TableProfile


def draw_version(
    table: Table,
    version: int | None = None,
    *,
    output: Path | None = None,
    target: str | None = None,
    columns: Sequence[str] = (),
    sample: int | None = None,
) -> Drawn:
    """Look at one version (default: the newest) as `lin.data.profile.profile_version` does, and draw it.

    Args:
        table: the table.
        version: its version.
        output: a file whose name ends in `.png` or `.html`, which is replaced (default: `NAME@VERSION.png` in
            the current folder).
        target: the column that is to be predicted.
        columns: only these columns, and the target (default: all).
        sample: the most rows to compute distributions and associations from.

    Raises:
        UsageError: no such column, one that cannot be a target, or a name of a file that ends in something else.
        NotFoundError: no such version. OutsideError: the table cannot be read, or the file not be written.
    """
    draw = _page if output and output.suffix == ".html" else _picture
    if output and output.suffix not in {".png", ".html"}:
        raise UsageError(f"'{output}' is neither a .png nor a .html", hint=f"--output {table.name}.html")
    look = profile_version(table, version, target=target, columns=columns, sample=sample)
    path = output or Path(f"{table.name}@{look.profile.version}.png")
    data = draw(look)
    try:
        write_whole(path, data)
    except OSError as error:
        raise OutsideError(f"'{path}' cannot be written: {error.strerror}") from error
    return Drawn(path=str(path), bytes=len(data), profile=look.profile)


def _picture(look: Look) -> bytes:
    from lin.runs.profile_plots import picture_profile

    return picture_profile(look)


def _page(look: Look) -> bytes:
    from lin.runs.profile_page import page_profile

    return page_profile(look).encode()
