"""The registry as it is, or was: named models with numbered versions, and what `boston@3` or `boston@production` means.

Read from the store's events alone; `changes` is what appends them.
"""

from collections.abc import Iterable
from datetime import datetime
from itertools import takewhile

import msgspec

from lin.errors import NotFoundError, UsageError, nearest
from lin.events import Event, Receipt, Verdict
from lin.models.fold import REPRODUCED, Model, ModelVersion, Registry, fold_events
from lin.store.store import Store

STAGES = ("none", "staging", "production", "archived")
SHARED_STAGES = frozenset({"none", "archived"})
"""Stages in which any number of versions can be. Each other one is held by one version of a model at a time."""
LATEST = "latest"
_MOST_DIGITS = 10


class SignedReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt, and who re-ran the run when: see `lin.events.Receipt`."""

    run: str
    rerun: str
    verdict: Verdict
    differences: list[str]
    changed: list[str]
    repeats: int
    tolerance: float | None
    time: datetime
    actor: str


def read_registry(store: Store, *, as_of: datetime | None = None) -> Registry:
    """The registry as it is now, or as it was at a moment."""
    return fold_events(read_events(store, as_of=as_of))


def read_events(store: Store, *, as_of: datetime | None = None) -> list[Event]:
    """All events, or those until a moment; where a clock went back, an event counts as no earlier than those before."""
    events = store.events.read()
    return [*events] if as_of is None else [*takewhile(lambda event: event.time <= as_of, events)]


def read_receipts(store: Store, run_id: str, *, as_of: datetime | None = None) -> list[SignedReceipt]:
    """The receipts of a run, oldest first: all, or those until a moment."""
    return [
        SignedReceipt(**msgspec.structs.asdict(event.change), time=event.time, actor=event.actor)
        for event in read_events(store, as_of=as_of)
        if isinstance(event.change, Receipt) and event.change.run == run_id
    ]


def read_proofs(events: Iterable[Event]) -> dict[str, SignedReceipt]:
    """What is known of each run, by its id: the newest receipt in which nothing was changed on purpose.

    Of a run that nobody re-ran, but that is itself a re-run which reproduced another, it is the receipt of that.
    """
    of_runs: dict[str, SignedReceipt] = {}
    of_reruns: dict[str, SignedReceipt] = {}
    for event in events:
        if isinstance(event.change, Receipt) and not event.change.changed:
            signed = SignedReceipt(**msgspec.structs.asdict(event.change), time=event.time, actor=event.actor)
            of_runs[signed.run] = signed
            if signed.verdict in REPRODUCED:
                of_reruns[signed.rerun] = signed
    return of_reruns | of_runs


def find_version(registry: Registry, reference: str) -> ModelVersion:
    """The version meant by `boston@3`, `boston@production`, `boston@champion`, `boston@latest` or `models:/boston/3`.

    Stages and `latest` are understood in any case, an alias as it was given.

    Raises:
        NotFoundError: no such model or version, or nothing holds the stage. UsageError: no version is named.
    """
    name, selector = split_reference(reference)
    model = find_model(registry, name)
    if selector is None:
        example = next((v.stage for v in reversed(model.versions) if v.stage not in SHARED_STAGES), None)
        raise UsageError(
            f"'{reference}' names no version of model '{name}'", hint=f"{name}@{example or len(model.versions)}"
        )
    if selector.isdecimal() and selector.isascii():
        number = int(selector) if len(selector) < _MOST_DIGITS else 0
        if 1 <= number <= len(model.versions):
            return model.versions[number - 1]
        raise NotFoundError(
            f"model '{name}' has no version {selector}; it has {len(model.versions)}", hint=f"lin show {name}"
        )
    if selector.lower() == LATEST:
        return model.versions[-1]
    return _find_holder(model, selector)


def _find_holder(model: Model, selector: str) -> ModelVersion:
    """The version that has an alias, or holds a stage. Raises as `find_version`."""
    if selector in model.aliases:
        return model.versions[model.aliases[selector] - 1]
    stage = selector.lower()
    holders = [version for version in model.versions if version.stage == stage]
    if holders:
        return holders[-1]
    stages = [*dict.fromkeys([*STAGES, *(move.stage for version in model.versions for move in version.history)])]
    if stage in stages:
        raise NotFoundError(f"no version of model '{model.name}' is in {stage}", hint=f"lin show {model.name}")
    known = [*stages, LATEST, *sorted(model.aliases)]
    raise UsageError(
        f"'{selector}' is neither a version, nor a stage, nor an alias of model '{model.name}'",
        hint=nearest(selector, known, instead=f"there are: {', '.join(known)}"),
    )


def find_model(registry: Registry, name: str) -> Model:
    """The model of that name. Raises `NotFoundError`."""
    if name in registry:
        return registry[name]
    known = ", ".join(sorted(registry)) or "none"
    raise NotFoundError(
        f"there is no model '{name}'; registered: {known}",
        hint=nearest(name, list(registry), instead=f"lin register RUN {name}"),
    )


def list_versions(registry: Registry, *, stage: str | None = None) -> list[ModelVersion]:
    """The versions of all models, by name and number; with a stage those in it."""
    versions = [version for name in sorted(registry) for version in registry[name].versions]
    return [version for version in versions if stage in {None, version.stage}]


def split_reference(reference: str) -> tuple[str, str | None]:
    """`boston@3` or `models:/boston/3` as a name and a version or stage."""
    if reference.startswith("models:/"):
        name, _, selector = reference.removeprefix("models:/").replace("@", "/").partition("/")
    else:
        name, _, selector = reference.removeprefix("model:").partition("@")
    return name, selector or None
