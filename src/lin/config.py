"""`lineage.toml`: what a project declares. Unknown keys are refused with the nearest known one."""

import re
import tomllib
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from lin.errors import NotFoundError, UsageError, nearest

FILE_NAME = "lineage.toml"
LARGEST_FILE = 1 << 20

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MOST_PARTS = 50
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(rf"(?<![\w.-])(?:{_PART}[ \t]*+\.[ \t]*+){{{_MOST_PARTS}}}")
T = TypeVar("T")


class Setting(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The base of every section."""


class ProjectSetting(Setting, frozen=True):
    """`[project]`. `stages` are those of models beside none, staging, production and archived."""

    name: str
    store: str = ".lin"
    stages: list[str] = []


class TableSetting(Setting, frozen=True):
    """`[tables.NAME]`. `path` is relative to the project's folder."""

    path: str
    key: list[str] = []
    order: list[str] = []


class Split(Setting, frozen=True):
    """`split = { test_size, seed }`."""

    test_size: float = 0.2
    seed: int = 0


class ModelSetting(Setting, frozen=True):
    """`[[experiments.NAME.models]]`: an import path, or several that make a pipeline; a list of values is a grid."""

    estimator: str | list[str]
    params: dict[str, Any] = {}


class ExperimentSetting(Setting, frozen=True):
    """`[experiments.NAME]`: either a fit of the built-in trainer (table, target, models) or a command.

    With `pickle` models are kept as files that run code when they are loaded, for estimators that skops cannot store.
    """

    table: str | None = None
    target: str | None = None
    features: Literal["all"] | list[str] | dict[str, float] = "all"
    rows: str | None = None
    split: Split = Split()
    metrics: list[str] = []
    models: list[ModelSetting] = []
    pickle: bool = False
    command: str | None = None
    params: dict[str, Any] = {}


class SecuritySetting(Setting, frozen=True):
    """`[security]`. With `sign` events are signed as they are written.

    `signers` is a file in the format of ssh's allowed signers, relative to the project's folder: only who is in it has
    roles. `trusted` is an event as `12:SHA256`: it and those before it count unsigned.
    """

    sign: bool = False
    signers: str | None = None
    trusted: str | None = None


class RegisteredModelSetting(Setting, frozen=True):
    """`[models.NAME]`. `gates` are, by stage, what a version has to pass: see `lin.gate_words`."""

    gates: dict[str, list[str]] = {}


class Config(Setting, frozen=True):
    """The whole file."""

    project: ProjectSetting
    tables: dict[str, TableSetting] = {}
    experiments: dict[str, ExperimentSetting] = {}
    models: dict[str, RegisteredModelSetting] = {}
    security: SecuritySetting = SecuritySetting()

    def table(self, name: str) -> TableSetting:
        """The table of that name. Raises `NotFoundError`."""
        return _get(self.tables, name, "table", "lin add NAME SOURCE")

    def experiment(self, name: str) -> ExperimentSetting:
        """The experiment of that name. Raises `NotFoundError`."""
        return _get(self.experiments, name, "experiment", f"declare [experiments.{name}] in {FILE_NAME}")


def _get(section: dict[str, T], name: str, what: str, how: str) -> T:
    if name in section:
        return section[name]
    known = ", ".join(sorted(section)) or "none"
    raise NotFoundError(
        f"there is no {what} '{name}' in {FILE_NAME}; it has: {known}",
        hint=nearest(name, list(section), instead=how),
    )


def check_name(name: str, what: str) -> str:
    """Return `name` if it may name a table, an experiment or a model. Raises `UsageError`."""
    if _NAME.fullmatch(name):
        return name
    raise UsageError(
        f"{name!r} cannot name {what}",
        hint="use letters, digits, '.', '_' and '-', starting with a letter or digit, 128 at most",
    )


def read_config(path: Path) -> Config:
    """Read and check a `lineage.toml`.

    Raises:
        UsageError: names the line, or the key with the nearest known one.
    """
    return parse_config(read_text(path), path.name)


def read_text(path: Path) -> str:
    """The text of a `lineage.toml`. Raises `UsageError` if it is none, or too large."""
    data = path.read_bytes()
    if len(data) > LARGEST_FILE:
        raise UsageError(f"{path.name} is {len(data)} bytes large; {LARGEST_FILE} is the most that lin reads")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path.name} is no text in UTF-8: {error}", hint="save it as UTF-8") from error


def parse_config(text: str, name: str = FILE_NAME) -> Config:
    """Parse the text of a `lineage.toml`. Raises `UsageError`."""
    if _LONG_KEY.search(text):  # tomllib takes gigabytes for a key of many parts
        raise UsageError(f"{name} has a key of more than {_MOST_PARTS} parts")
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise UsageError(f"{name} is not valid TOML: {error}") from error
    _refuse_unknown(raw, Config, name, [])
    try:
        config = msgspec.convert(raw, Config)
    except msgspec.ValidationError as error:
        raise _explain(error, raw, name) from error
    for section, what in (
        (config.tables, "a table"),
        (config.experiments, "an experiment"),
        (config.models, "a model"),
    ):
        for key in section:
            check_name(key, what)
    for key, experiment in config.experiments.items():
        _check_experiment(experiment, f"{name}: [experiments.{key}]")
    for key, model in config.models.items():
        _check_gates(model, f"{name}: [models.{key}]")
    return config


def _check_experiment(experiment: ExperimentSetting, where: str) -> None:
    if experiment.command is not None:
        if experiment.table or experiment.models:
            raise UsageError(f"{where} has both a command and a table or models: keep one of them")
        return
    missing = [k for k in ("table", "target", "models") if not getattr(experiment, k)]
    if missing:
        raise UsageError(
            f"{where} lacks '{missing[0]}'", hint="an experiment has table, target and models, or a command"
        )


def _check_gates(model: RegisteredModelSetting, where: str) -> None:
    if not model.gates:
        return
    from lin.gate_words import parse_gate

    for stage, gates in model.gates.items():
        for gate in gates:
            try:
                parse_gate(gate)
            except UsageError as error:
                raise UsageError(f"{where} gates.{stage}: {error.message}", hint=error.hint) from error


def _explain(error: msgspec.ValidationError, raw: dict[str, Any], name: str) -> UsageError:
    """What is wrong and where; msgspec does not tell which table, experiment or model it is in, so each is tried."""
    where = ""
    kinds = (("tables", TableSetting), ("experiments", ExperimentSetting), ("models", RegisteredModelSetting))
    for section, kind in kinds:
        for key, value in raw[section].items() if isinstance(raw.get(section), dict) else ():
            try:
                msgspec.convert(value, kind)
            except msgspec.ValidationError as inner:
                where, error = f"[{section}.{key}] ", inner
    message, _, place = str(error).partition(" - at `$")
    place = place.rstrip("`").lstrip(".")
    return UsageError(f"{name}: {where}{place}: {message}" if place else f"{name}: {where}{message}")


def _refuse_unknown(raw: object, kind: Any, name: str, at: list[str]) -> None:
    """Walk the settings beside their types, so that an unknown key is named with the nearest known one."""
    info = msgspec.inspect.type_info(kind) if not isinstance(kind, msgspec.inspect.Type) else kind
    match info:
        case msgspec.inspect.UnionType():
            structs = [t for t in info.types if isinstance(t, msgspec.inspect.StructType)]
            if structs:
                _refuse_unknown(raw, structs[0], name, at)
        case msgspec.inspect.StructType() if isinstance(raw, dict):
            known = {field.encode_name: field.type for field in info.fields}
            for key, value in raw.items():
                if key not in known:
                    where = f"[{'.'.join(at)}]" if at else "at the top"
                    instead = f"known here: {', '.join(known)}"
                    raise UsageError(
                        f"{name}: unknown key '{key}' {where}",
                        hint=nearest(key, list(known), instead=instead),
                    )
                _refuse_unknown(value, known[key], name, [*at, key])
        case msgspec.inspect.DictType() if isinstance(raw, dict):
            for key, value in raw.items():
                _refuse_unknown(value, info.value_type, name, [*at, key])
        case msgspec.inspect.ListType() if isinstance(raw, list):
            for value in raw:
                _refuse_unknown(value, info.item_type, name, at)
        case _:
            return
