"""What lineage is about: table versions and their columns, runs, model versions, files, source and environments.

A thing is what identifies it and no more, so that two ways to it meet; `nodes` tells what there is to say of it.
"""

from dataclasses import dataclass
from typing import Literal

from lin.records import FileRef, ModelRef
from lin.runs.links import place_of


@dataclass(frozen=True)
class TableThing:
    """A version of the table at `location`, relative to the store, or a column of it."""

    name: str
    location: str
    version: int
    column: str | None = None

    @property
    def place(self) -> str:
        """What identifies it in `Links`."""
        return f"table:{self.location}@{self.version}"


@dataclass(frozen=True)
class CommitThing:
    """What one commit wrote, without what was there before; not `exact`: that commit or one before."""

    name: str
    location: str
    version: int
    exact: bool = True


@dataclass(frozen=True)
class VersionsThing:
    """Versions of a table, one made from the other, that no run read or wrote."""

    name: str
    location: str
    first: int
    last: int


@dataclass(frozen=True)
class RunThing:
    """A run."""

    run: str


@dataclass(frozen=True)
class RunsThing:
    """Several runs of one kind that read the same and of which nothing came; `first` is the oldest."""

    first: str
    count: int
    what: str


@dataclass(frozen=True)
class ModelThing:
    """A model version."""

    model: str
    version: int

    @property
    def place(self) -> str:
        """What identifies it in `Links`."""
        return place_of(ModelRef(model=self.model, version=self.version, sha256=""))


@dataclass(frozen=True)
class FileThing:
    """A file with one content."""

    path: str
    sha256: str

    @property
    def place(self) -> str:
        """What identifies it in `Links`."""
        return place_of(FileRef(path=self.path, sha256=self.sha256, bytes=0))


@dataclass(frozen=True)
class ArtifactThing:
    """A file that a run keeps."""

    run: str
    path: str
    sha256: str


@dataclass(frozen=True)
class CodeThing:
    """A source snapshot or an environment."""

    kind: Literal["source", "environment"]
    digest: str


@dataclass(frozen=True)
class FilesThing:
    """Many files that one run read or wrote."""

    run: str
    count: int
    how: str


@dataclass(frozen=True)
class SeveralThing:
    """What a reference means that more than one thing answers to, such as a path whose content changed."""

    name: str
    how: str
    members: "tuple[Thing, ...]"


Thing = (
    TableThing
    | CommitThing
    | VersionsThing
    | RunThing
    | RunsThing
    | ModelThing
    | FileThing
    | ArtifactThing
    | CodeThing
    | FilesThing
    | SeveralThing
)
