"""What was made from what, as a graph: things by id, and the way from each to what was made from it."""

from typing import Literal

import msgspec

NodeKind = Literal["table", "column", "run", "model", "predictions", "file", "source", "environment"]


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A thing: `name` is how it is referred to, as in `housing@1`; `id` is its own in this graph.

    `detail` tells more in a line. `live` names the stages and aliases by which a model version can be meant today.
    """

    id: str
    kind: NodeKind
    name: str
    detail: str
    live: list[str] = []


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """`target` was made from `source`, both ids of nodes; `how` says in a word or two in which way."""

    source: str
    target: str
    how: str


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """What a thing was made from (`up`) or what was made from it (`down`), the thing itself first.

    Edges point from what was there before to what came after, whichever way was asked. `left_out` counts the things
    right behind those that are shown; what is behind them again was not looked at. `notes` tell what could not be read.
    """

    root: str
    direction: Literal["up", "down"]
    nodes: list[Node]
    edges: list[Edge]
    left_out: int = 0
    notes: list[str] = []
