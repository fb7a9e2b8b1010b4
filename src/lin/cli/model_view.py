"""How `lin show` tells of a model and of a model version: facts, then its versions or the run behind it."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lin.cli.printing import count, line, table
from lin.cli.printing import show as text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lin.lineage.card import ModelCard
    from lin.models.fold import Discounted, Model, ModelVersion, Move, Refusal, Remark

Fact = tuple[object, object]

NEWEST = 20
"""So many comments and refusals are listed; `--json` has all."""
ALARM = "bold red"


def view_model(model: "Model") -> "list[RenderableType]":
    """The model: what was said about it, who may change it, and its versions."""
    from lin.cli.models import view

    parts: list[RenderableType] = [line(f"{model.name}: {count(len(model.versions), 'version')}", "bold")]
    if facts := [fact for fact in _model_facts(model) if fact[1]]:
        parts.append(table(("", ""), facts))
    return [*parts, "", *view(model.versions)]


def view_version(card: "ModelCard") -> "list[RenderableType]":
    """The model version: what became of it and what was said about it, then the run behind it."""
    from lin.cli.run_view import view_run

    facts = [fact for fact in _version_facts(card) if fact[1]]
    return [line(card.version.reference, "bold"), table(("", ""), facts), "", *view_run(card.run)]


def _model_facts(model: "Model") -> Iterable[Fact]:
    yield from _spread("description", model.description)
    yield "aliases", ", ".join(f"{alias} is {model.name}@{model.aliases[alias]}" for alias in sorted(model.aliases))
    yield "tags", _tags(model.tags)
    for role in ("owner", "promoter", "reader"):
        yield role, ", ".join(sorted(who for who, given in model.roles.items() if given == role))
    yield from _comments(model.comments)
    yield from _refusals(model.refusals)
    yield from _discounted(model.discounted)


def _version_facts(card: "ModelCard") -> Iterable[Fact]:
    version = card.version
    yield "stage", version.stage
    yield "unsafe", line("its file runs code when it is loaded", ALARM) if version.unsafe else None
    yield "registered", f"{text(version.registered)} UTC by {_person(version)}{', signed' if version.signer else ''}"
    yield from _spread("description", version.description)
    yield "aliases", ", ".join(version.aliases)
    yield "tags", _tags(version.tags)
    yield "file", f"{version.artifact}, sha256 {version.sha256[:12]}"
    yield "golden", card.golden
    for move in version.history:
        yield from _move(move)
    for approval in version.approvals:
        yield from _spread("approved", _remark(approval))
    yield from _comments(version.comments)
    yield from _refusals(card.refusals)
    yield from _discounted(card.discounted)


def _move(move: "Move") -> Iterable[Fact]:
    """A move to a stage, and below it the gates with what was found."""
    how = line("FORCED to", ALARM) if move.forced else "back in" if move.back else "moved to"
    reason = f": {move.reason}" if move.reason else ""
    yield from _spread(
        how, f"{move.stage}, {text(move.time)} UTC by {move.actor}{', signed' if move.signer else ''}{reason}"
    )
    for gate in move.gates:
        found = f"{'passed' if gate.passed else 'failed'}: {gate.gate}; {gate.evidence}"
        yield "", line(found, "" if gate.passed else ALARM)


def _comments(comments: "Sequence[Remark]") -> Iterable[Fact]:
    for comment in comments[-NEWEST:]:
        yield from _spread("comment", _remark(comment))
    yield "", _older(comments)


def _refusals(refusals: "Sequence[Refusal]") -> Iterable[Fact]:
    for refusal in refusals[-NEWEST:]:
        # why a gate let nothing pass does not tell what was to pass it
        action = f"to {refusal.action}, " if refusal.gates else ""
        yield "refused", f"{action}{text(refusal.time)} UTC by {refusal.actor}: {refusal.why}"
        yield from (("", f"failed: {gate.gate}; {gate.evidence}") for gate in refusal.gates if not gate.passed)
    yield "", _older(refusals)


def _discounted(changes: "Sequence[Discounted]") -> Iterable[Fact]:
    for change in changes[-NEWEST:]:
        told = f"event {change.event}, {change.action}, {text(change.time)} UTC by {change.actor}: {change.why}"
        yield line("does not count", ALARM), told
    yield "", _older(changes)


def _older(items: "Sequence[object]") -> str | None:
    return f"and {len(items) - NEWEST} older; --json has all" if len(items) > NEWEST else None


def _remark(remark: "Remark") -> str:
    said = f": {remark.text}" if remark.text else ""
    return f"{text(remark.time)} UTC by {_person(remark)}{said}"


def _person(one: "Remark | ModelVersion") -> str:
    return f"{one.actor} ({one.email})" if one.email not in {None, one.actor} else one.actor


def _tags(tags: dict[str, str]) -> str:
    return ", ".join(f"{key}={tags[key]}" for key in sorted(tags))


def _spread(name: object, told: str | None) -> Iterable[Fact]:
    """A fact whose text may have several lines."""
    for number, part in enumerate(told.splitlines() if told else ()):
        yield "" if number else name, part
