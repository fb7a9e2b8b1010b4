"""What the log of a run amounts to: the fold of its lines, one pass, whatever is damaged left out."""

from collections.abc import Iterable
from dataclasses import dataclass

from lin.numbers import Real
from lin.records import (
    Artifact,
    ArtifactKept,
    Input,
    InputRead,
    Output,
    OutputWritten,
    Param,
    ParamSet,
    Seen,
    Start,
    TagSet,
    encode,
)
from lin.store.runs import Point, read_lines, real_value

Other = ParamSet | TagSet | ArtifactKept | InputRead | OutputWritten | Seen
"""A line that is no point of a metric: there are few of these."""


@dataclass(frozen=True)
class Logged:
    """What a run's log amounts to."""

    params: dict[str, Param]
    tags: dict[str, str]
    metrics: dict[str, Real]
    artifacts: list[Artifact]
    inputs: list[Input]
    outputs: list[Output]
    seen: list[Seen]
    damaged_lines: int


def fold_log(start: Start, log: bytes) -> Logged:
    """What the lines of a `log.jsonl`, after what `start.json` says, amount to.

    The value of a metric is its point with the highest step, and of several the last; of all else the last counts.

    Raises:
        StoreError: a whole line is none that this lin knows.
    """
    where = f"the log of run {start.id}"
    last: dict[str, Point] = {}
    others: list[Other] = []
    damaged = 0
    for line in read_lines(log, where):
        if isinstance(line, Point):
            if line.key not in last or line.step >= last[line.key].step:
                last[line.key] = line
        elif line is None:
            damaged += 1
        else:
            others.append(line)
    metrics = {key: real_value(point.value, where) for key, point in last.items()}
    return _fold_others(start, others, metrics, damaged)


def _fold_others(start: Start, lines: Iterable[Other], metrics: dict[str, Real], damaged: int) -> Logged:
    logged = Logged(dict(start.params), dict(start.tags), metrics, [], [], [], [], damaged)
    artifacts: dict[str, Artifact] = {}
    inputs: dict[bytes, Input] = {encode(read): read for read in start.inputs}
    outputs: dict[bytes, Output] = {}
    for line in lines:
        match line:
            case ParamSet(key=key, value=param):
                logged.params[key] = param
            case TagSet(key=key, value=tag):
                logged.tags[key] = tag
            case ArtifactKept(artifact=artifact):
                artifacts[artifact.path] = artifact
            case InputRead(input=read):
                inputs.setdefault(encode(read), read)
            case OutputWritten(output=written):
                outputs.setdefault(encode(written), written)
            case Seen():
                logged.seen.append(line)
    logged.artifacts.extend(artifacts[path] for path in sorted(artifacts))
    logged.inputs.extend(inputs.values())
    logged.outputs.extend(outputs.values())
    return logged
