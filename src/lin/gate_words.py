"""The words of gates, as `lineage.toml` declares them: one condition each between a model version and a stage.

A text that is none of the gates named here is a filter of `lin runs --where`, where it looks like one; whether it is a
right one is checked where runs are known, in `lin.lineage.gates`.
"""

import re
import shlex
from dataclasses import dataclass

from lin.errors import UsageError, nearest

GATES = (
    "reproduced",
    "reproduced within tolerance",
    "no feedback",
    "comment required",
    "environment recorded",
    "approved by N",
    "command: PROGRAM",
    "metrics.NAME < 6",
    "metrics.NAME < current",
)
"""One of each."""
PLACES = ("model", "version", "stage", "run")
"""What `{…}` in a command may name."""

_APPROVED = re.compile(r"approved by (?P<count>[0-9]{1,4})", re.IGNORECASE)
_COMMAND = re.compile(r"command:(?P<line>.*)", re.IGNORECASE | re.DOTALL)
_CURRENT = re.compile(r'(?P<field>(?:[^<>=!"`]|"[^"]*"|`[^`]*`)+)(?P<op><=|>=|<|>)\s*current', re.IGNORECASE)
_MENTIONS_CURRENT = re.compile(r"[<>=]\s*current\b", re.IGNORECASE)
_QUOTED = re.compile("'[^']*'|\"[^\"]*\"")
_LOOKS_LIKE_FILTER = re.compile(r"[<>=]|\s(?:is|in|like|ilike)\s", re.IGNORECASE)


@dataclass(frozen=True)
class Fulfils:
    """The version's run fulfils a filter of `lin runs --where`; `text` is not parsed yet."""

    text: str


@dataclass(frozen=True)
class Beats:
    """A metric is better than that of the version which holds the stage: `<`, `<=`, `>` or `>=`."""

    field: str
    op: str


@dataclass(frozen=True)
class Reproduced:
    """The newest re-run of the run without changes came out the same, or close enough where that will do."""

    tolerance: bool


@dataclass(frozen=True)
class NoFeedback:
    """The model was not trained on what a model predicted."""


@dataclass(frozen=True)
class Commented:
    """Somebody commented on the version."""


@dataclass(frozen=True)
class Environed:
    """The run's environment is recorded, and can be read."""


@dataclass(frozen=True)
class Approved:
    """So many people approve of the version, other than who registered it."""

    count: int


@dataclass(frozen=True)
class Exits:
    """A program exits with 0. `words` may hold `{model}`, `{version}`, `{stage}` and `{run}`."""

    words: tuple[str, ...]


GateWords = Fulfils | Beats | Reproduced | NoFeedback | Commented | Environed | Approved | Exits
_PLAIN: dict[str, GateWords] = {
    "reproduced": Reproduced(tolerance=False),
    "reproduced within tolerance": Reproduced(tolerance=True),
    "no feedback": NoFeedback(),
    "comment required": Commented(),
    "environment recorded": Environed(),
}


def parse_gate(text: str) -> GateWords:
    """What a gate asks for.

    Raises:
        UsageError: it is none; the hint names the nearest.
    """
    words = " ".join(text.split())
    if words.lower() in _PLAIN:
        return _PLAIN[words.lower()]
    if match := _COMMAND.fullmatch(text.strip()):
        return _parse_command(match["line"])
    if match := _APPROVED.fullmatch(words):
        return _parse_approved(int(match["count"]))
    if match := _CURRENT.fullmatch(text.strip()):
        return Beats(match["field"].strip(), match["op"])
    if _MENTIONS_CURRENT.search(_QUOTED.sub("''", words)):
        hint = "a gate of its own, as 'metrics.rmse < current', with <, <=, > or >="
        raise UsageError(f"the gate '{text}' compares with the current version and says more than that", hint=hint)
    if _LOOKS_LIKE_FILTER.search(words):
        return Fulfils(text.strip())
    known = [*GATES, "command"]
    hint = nearest(words.partition(":")[0].lower(), known, instead=f"gates are: {', '.join(GATES)}")
    raise UsageError(f"'{text}' is not a gate", hint=hint)


def fill_words(words: tuple[str, ...], values: dict[str, str]) -> list[str]:
    """The words of a command with `{name}` replaced in each, so that no value becomes more than one word."""
    return [word.format_map(values) for word in words]


def _parse_approved(count: int) -> Approved:
    if count < 1:
        raise UsageError("the gate 'approved by 0' asks nobody", hint="approved by 1")
    return Approved(count)


def _parse_command(line: str) -> Exits:
    try:
        words = tuple(shlex.split(line))
        fill_words(words, dict.fromkeys(PLACES, ""))
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        hint = "it may name {model}, {version}, {stage} and {run}; write {{ and }} for braces"
        raise UsageError(f"the command of gate 'command:{line}' cannot be filled in: {error}", hint=hint) from error
    if not words:
        raise UsageError("the gate 'command:' names no program", hint="command: python check.py {model} {version}")
    return Exits(words)
