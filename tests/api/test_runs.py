"""Asking from Python gives the same as `lin runs`."""

import pytest

import lin
from lin.errors import UsageError
from lin.project import Project
from lin.store.runs import day_of


def test_runs_are_found_sorted_and_cut(here: Project) -> None:
    for number, name in enumerate(["low", "middle", "high"]):
        with lin.start_run(name, params={"alpha": number}):
            lin.log_metric("rmse", number)
    assert [run.name for run in lin.search_runs()] == ["high", "middle", "low"]
    assert [run.name for run in lin.search_runs("params.alpha > 0", sort="metrics.rmse", limit=1)] == ["middle"]
    assert [run.name for run in lin.search_runs(sort="metrics.rmse", descending=True)] == ["high", "middle", "low"]
    with pytest.raises(UsageError):
        lin.search_runs("rmse <")
    assert here.store.runs.is_sealed(lin.search_runs()[0].id)


def test_a_damaged_record_is_a_warning(here: Project) -> None:
    for name in ("good", "rotten"):
        run = lin.start_run(name)
        run.end()
    (here.store_root / "runs" / day_of(run.id) / run.id / "run.json").write_bytes(b"{}")
    with pytest.warns(UserWarning, match="is damaged"):
        found = lin.search_runs()
    assert [run.name for run in found] == ["good"]
