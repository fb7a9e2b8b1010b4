"""Figures that people draw with matplotlib, as files: the same figure gives the same bytes, in every process."""

import io
from pathlib import PurePosixPath
from typing import Any

from lin.errors import UsageError

_UNDATED: dict[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".svg": dict.fromkeys(("Creator", "Date", "Format", "Type")),
    ".pdf": dict.fromkeys(("Creator", "Producer", "CreationDate")),
}
"""What matplotlib would write of itself and of the time, left out."""


def render_figure(figure: Any, name: str) -> bytes:
    """The figure as a file of the kind that `name` ends in: PNG, SVG or PDF, in the figure's own size and style.

    Args:
        figure: a figure of matplotlib, or axes on one: what `DataFrame.plot` returns.
        name: the name of the file.

    Raises:
        UsageError: it is no figure, or the name has another ending.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    whole = getattr(figure, "figure", figure)
    if not isinstance(whole, Figure):
        raise UsageError(
            f"a {type(figure).__name__} is no figure of matplotlib",
            hint="save it yourself, then lin.log_artifact(FILE)",
        )
    ending = PurePosixPath(name).suffix.lower()
    if ending not in _UNDATED:
        raise UsageError(f"'{name}' does not end in {', '.join(_UNDATED)}", hint=f"'{name}.png'")
    sink = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "lin"}):
        whole.savefig(sink, format=ending[1:], metadata=_UNDATED[ending])
    return sink.getvalue()
