"""The page of an attribution, and its pictures, from values: what runs for them is tested in the room `proof`."""

from pathlib import Path

import msgspec
import pytest
from inline_snapshot import snapshot

from lin.cli.attribution_view import view
from lin.cli.printing import emit
from lin.errors import OutsideError, UsageError
from lin.numbers import Real
from lin.proof.attribution.answer import (
    Attribution,
    AxisEffect,
    Cause,
    Cell,
    Check,
    Interaction,
    SeedSpread,
    Side,
    Step,
)
from lin.proof.attribution.plot import draw_attribution
from lin.proof.why.undo import Remedy


def effect(axis: str, shapley: float, alone: float | None, taken_out: float | None) -> AxisEffect:
    return AxisEffect(
        axes=axis.split("+"),
        shapley=Real(shapley),
        share=Real(shapley / 4),
        low=None,
        high=None,
        alone=None if alone is None else Real(alone),
        taken_out=None if taken_out is None else Real(taken_out),
    )


def cell(what: str, value: float | None) -> Cell:
    return Cell(
        what=what,
        axes=[],
        parts=[],
        repeat=0,
        run="0" * 32,
        value=None if value is None else Real(value),
        error=None if value is not None else "no such option: \x1b[31m--beta",
        seconds=Real(1),
    )


FOUND = Attribution(
    on="metrics.rmse",
    a=Side(run="0" * 32, label="boston@1", recorded=Real(5), replayed=[Real(5), Real(5)]),
    b=Side(run="1" * 32, label="boston@2", recorded=None, replayed=[Real(9), Real(9.5)]),
    effect=Real(4),
    noise=Real(0.5),
    axes=["data", "source", "params", "host"],
    cells=[cell("A", 5), cell("B", 9), cell("A + source", None)],
    estimated=False,
    blocks=[["source", "params"]],
    effects=[effect("data", 4.6, 3, 5), effect("source+params", -0.6, -1, None), effect("host", 0, 0, 0)],
    interactions=[
        Interaction(first=["data"], second=["source", "params"], effect=Real(1.2)),
        Interaction(first=["data"], second=["host"], effect=Real(0.1)),
    ],
    seeds=SeedSpread(seeds=[101], a=[Real(5)], b=[None], spread=Real(0), others=None),
    steps=[
        Step(
            axis="data",
            ordered=True,
            among=["housing@1: WRITE", "housing@2: WRITE"],
            found=["housing@2: WRITE"],
            alone=Real(9),
            rest=Real(5),
            relation="one",
            confirmed=True,
        ),
        Step(
            axis="params",
            ordered=False,
            among=list("abcdefg"),
            found=list("abcde"),
            alone=Real(9),
            rest=None,
            relation="together",
            confirmed=False,
        ),
    ],
    checks=[
        Check(what="A with what was found", value=Real(9), moved=Real(1), holds=True),
        Check(what="B without it", value=None, moved=None, holds=False),
    ],
    causes=[Cause(axis="data", parts=["housing@2: WRITE, updated medv (3 cells)"], share=Real(1.15))],
    relation="one",
    verdict="joint cause",
    sentence="metrics.rmse 5 -> 9: it was \x1b]0;evil\x07",
    notes=["noise: run again unchanged, it moves by up to 0.5"],
    undo=[Remedy(command="lin restore housing --version 0", does="the old rows, as a new version")],
)


def test_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    emit(FOUND, view, as_json=False)
    assert capsys.readouterr().out == snapshot("""\
metrics.rmse 5 -> 9: it was \\x1b]0;evil\\x07

             recorded   run again
A  boston@1  5          5, 2 times
B  boston@2  not known  9, 9.5

axis             share                        Shapley value  alone on A  taken out of B
data             115 %  ████████████████████           +4.6          +3              +5
source + params  -15 %  ███                            -0.6          -1               -
host               0 %                                    0           0               0

together  data and source + params: +1.2 beyond what they do apart

narrowed  data, of 2 commits: housing@2: WRITE  5 before, 9 after
          params, of 7 parts: a, b, c and 2 more  9 with only this, could not run with all but this

confirmed  A with what was found: 100 % of the effect
           B without it: could not run

note  noise: run again unchanged, it moves by up to 0.5

cells  3 run, of which 1 gave no metrics.rmse

do next  lin restore housing --version 0  the old rows, as a new version
""")


def test_the_page_where_nothing_ran(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = msgspec.structs.replace(
        FOUND,
        effects=[],
        interactions=[],
        steps=[],
        checks=[],
        causes=[],
        cells=[],
        notes=[],
        undo=[],
        sentence="metrics.rmse is 5 in both: nothing to explain",
        verdict="nothing to explain",
        a=msgspec.structs.replace(FOUND.a, replayed=[]),
        b=msgspec.structs.replace(FOUND.b, recorded=Real(5), replayed=[]),
    )
    emit(nothing, view, as_json=False)
    assert capsys.readouterr().out == snapshot("""\
metrics.rmse is 5 in both: nothing to explain

             recorded  run again
A  boston@1  5
B  boston@2  5
""")


def test_its_json_has_every_cell(capsys: pytest.CaptureFixture[str]) -> None:
    emit(FOUND, view, as_json=True)
    told = msgspec.json.decode(capsys.readouterr().out)
    assert [(each["what"], each["value"]) for each in told["cells"]] == [("A", 5.0), ("B", 9.0), ("A + source", None)]
    assert told["causes"][0]["parts"] == ["housing@2: WRITE, updated medv (3 cells)"]
    assert told["undo"] == [{"command": "lin restore housing --version 0", "does": "the old rows, as a new version"}]


def test_the_pictures(tmp_path: Path) -> None:
    for name in ("why.png", "why.html"):
        size = draw_attribution(FOUND, tmp_path / name)
        first = (tmp_path / name).read_bytes()
        assert len(first) == size
        draw_attribution(FOUND, tmp_path / name)
        assert (tmp_path / name).read_bytes() == first  # the same gives the same bytes
    page = (tmp_path / "why.html").read_text()
    assert "\x1b" not in page
    assert "source + params" in page
    assert "script" not in page
    with pytest.raises(UsageError, match="nothing to draw"):
        draw_attribution(msgspec.structs.replace(FOUND, effects=[]), tmp_path / "why.png")
    with pytest.raises(OutsideError, match="cannot be written"):
        draw_attribution(FOUND, tmp_path / "none" / "why.png")
