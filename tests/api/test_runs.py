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


@pytest.mark.usefixtures("here")
def test_runs_are_compared_and_show_in_a_notebook() -> None:
    for name, alpha in (("one", "<b>0.1"), ("other", "0.2")):
        with lin.start_run(name, params={"alpha": alpha}):
            lin.log_metric("rmse", 1.5)
    compared = lin.compare_runs("one", "other")
    assert [(param.name, set(param.values.values())) for param in compared.params] == [("alpha", {"<b>0.1", "0.2"})]
    for shown in (compared._repr_html_(), lin.search_runs(sort="started")[0]._repr_html_()):
        assert "&lt;b&gt;0.1" in shown
        assert "<b>0.1" not in shown
    with pytest.raises(UsageError, match="nothing to compare it with"):
        lin.compare_runs("one")
