"""What people may write about a model: names in one line, and texts. Nothing in them commands a terminal.

A text is kept for ever in an event that every reader of the registry reads, so that there is a limit to it.
"""

import unicodedata

from lin.errors import UsageError

LONGEST_NAME = 128
LONGEST_TEXT = 10_000
"""In characters."""

_BREAKS = "\n\t"


def check_label(label: str, what: str) -> str:
    """The name of a tag or a person, in one printable line. Raises `UsageError` if it cannot be one."""
    if 0 < len(label) <= LONGEST_NAME and label.isprintable() and label == label.strip():
        return label
    raise UsageError(f"{_cut(label)!r} cannot name {what}", hint=f"use 1 to {LONGEST_NAME} printable characters")


def check_text(text: str, what: str) -> str:
    """A text of one or more lines; `what` says which, as in `a comment`.

    Raises:
        UsageError: it is blank, too long, or holds control characters other than tabs and line breaks.
    """
    if len(text) > LONGEST_TEXT:
        raise UsageError(f"{what} is {len(text)} characters long; {LONGEST_TEXT} are the most that are kept")
    if not text.strip():
        raise UsageError(f"{what} is blank", hint="say something")
    # Cc are controls, Cs are bytes that no text is made of
    odd = next((c for c in text if unicodedata.category(c) in {"Cc", "Cs"} and c not in _BREAKS), None)
    if odd is not None:
        raise UsageError(f"{what} holds the control character {odd!r}", hint="leave it out")
    return text


def check_reason(reason: str | None) -> str | None:
    """Why something is done, where it is said. Raises as `check_text`."""
    return None if reason is None else check_text(reason, "the reason")


def _cut(label: str) -> str:
    return label if len(label) <= LONGEST_NAME else f"{label[:LONGEST_NAME]}…"
