"""Cards for notebooks: what is on them, that they fetch and run nothing, and that foreign text stays text."""

from html.parser import HTMLParser

import msgspec
import pytest

from lin.data.changes import ColumnChange, Movement, RowChange, TableDiff
from lin.numbers import Real
from lin.project import Project, create_project
from lin.records import Artifact, FileRef, ModelRef, TableRef
from lin.runs.cards import LONGEST, MOST_LINES, comparison_html, diff_html, run_html
from lin.runs.compare import compare_runs
from lin.runs.differences import EnvironmentChange, SourceChange, TableChange
from lin.runs.hunks import FileChange
from lin.runs.query import RunInfo, read_run
from lin.runs.record import begin_run, capture

EVIL = "</td></style><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;\u202e\x1b$x$"
SEEN = EVIL.replace("\u202e", "\\u202e").replace("\x1b", "\\x1b")
TAGS = {"div", "style", "table", "tr", "th", "td", "b", "span", "details", "summary", "pre", "p", "h2", "del", "ins"}
ATTRIBUTES = {"class", "title", "style", "colspan"}


class Fragment(HTMLParser):
    """Reads a fragment as a browser would: what it opens and shows."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.tips: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.tips += [value or "" for name, value in attrs if name == "title"]
        assert not any("url(" in (value or "") for name, value in attrs if name == "style")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += "" if self.open[-1:] == ["style"] else data


def read(html: str) -> Fragment:
    """The fragment, which is whole and holds nothing that a notebook would fetch or run."""
    fragment = Fragment(html)
    assert fragment.open == []
    assert fragment.tags <= TAGS
    assert fragment.attributes <= ATTRIBUTES
    assert "mathjax_ignore" in html
    return fragment


@pytest.fixture(scope="module")
def project_and_run(tmp_path_factory: pytest.TempPathFactory) -> "tuple[Project, RunInfo]":
    project = create_project(tmp_path_factory.mktemp("cards"), name="boston")[0]
    run = begin_run(project, capture(project), kind="program", name="fit", experiment="wine", params={"alpha": 0.5})
    run.log_metric("rmse", 1.23456789)
    run.log_metric("bad", float("nan"))
    run.set_tag("team", "risk")
    run.log_artifact(b"x" * 1234, "plot.png")
    run.seal("failed", exit_code=3, error="it fell", peak_memory_bytes=120_000_000)
    return project, read_run(project.store, run.id)


@pytest.fixture
def run(project_and_run: "tuple[Project, RunInfo]") -> RunInfo:
    return project_and_run[1]


@pytest.fixture
def evil(run: RunInfo) -> RunInfo:
    return msgspec.structs.replace(
        run,
        id=EVIL,
        name=EVIL,
        experiment=EVIL,
        actor=EVIL,
        error=EVIL,
        status=EVIL,
        params={EVIL: EVIL, "list": [EVIL]},
        metrics={EVIL: Real(1)},
        tags={EVIL: EVIL},
        inputs=[TableRef(EVIL, EVIL, 1, EVIL, 1, [EVIL]), ModelRef(EVIL, 1, EVIL), FileRef(EVIL, EVIL, 1)],
        outputs=[FileRef(EVIL, EVIL, 1)],
        artifacts=[Artifact(EVIL, EVIL, 1)],
        features=[EVIL],
        command=[EVIL],
    )


def test_a_run(run: RunInfo):
    inputs = [TableRef("housing", "../data/housing", 3, "0" * 64, 1506), ModelRef("boston", 2, "0" * 64)]
    run = msgspec.structs.replace(run, inputs=inputs, outputs=[FileRef("out/plot.svg", "0" * 64, 5)], seconds=1.5)
    fragment = read(run_html(run))
    words = [word.strip() for word in fragment.text.split("\n") if word.strip()]
    started = f"{run.started:%Y-%m-%d %H:%M:%S} UTC by {run.actor}"
    assert words[:3] == [
        f"fit run {run.id[-8:]}",
        f"failed program of wine, {started}, 1.50 s, 120.0 MB of memory, exit code 3",
        "it fell",
    ]
    assert words[3:] == [
        *("params", "alpha0.5", "metrics", "badNaN", "rmse1.23457", "tags", "teamrisk"),
        *(
            "inputs",
            "housing@31,506 rows",
            "boston@2model",
            "outputs",
            "out/plot.svg5 B",
            "artifacts",
            "plot.png1.2 kB",
        ),
    ]
    assert fragment.tips == [run.id]


def test_a_run_that_has_nothing_yet(run: RunInfo):
    bare = msgspec.structs.replace(
        run, status="running", seconds=None, error=None, exit_code=None, experiment=None, peak_memory_bytes=None,
        params={}, metrics={}, tags={}, artifacts=[],
    )  # fmt: skip
    fragment = read(run_html(bare))
    assert fragment.text.split() == [
        *("fit", "run", run.id[-8:], "running", "program,"),
        *f"{run.started:%Y-%m-%d %H:%M:%S} UTC by {run.actor}".split(),
    ]
    assert "table" not in fragment.tags


def test_long_lists_and_values_are_cut_and_say_so(run: RunInfo):
    long = "x" * (LONGEST + 1)
    many = msgspec.structs.replace(run, params={f"p{n}": n for n in range(MOST_LINES + 2)} | {"long": 1}, name=long)
    fragment = read(run_html(many))
    assert "… and 3 more params" in fragment.text
    assert f"p{MOST_LINES - 1}" in fragment.text
    assert f"p{MOST_LINES}" not in fragment.text
    assert f"{long[: LONGEST - 1]}…" in fragment.text
    assert long in fragment.tips


def test_foreign_text_of_a_run_stays_text(evil: RunInfo):
    fragment = read(run_html(evil))
    assert fragment.text.count(SEEN) >= 12
    assert "\u202e" not in fragment.text


def test_what_differs(project_and_run: "tuple[Project, RunInfo]"):
    project, run = project_and_run
    other = msgspec.structs.replace(run, id="f" * 32, metrics={"rmse": Real(1.0), "bad": run.metrics["bad"]}, params={})
    fragment = read(comparison_html(compare_runs(project, [run, other], labels=["boston@1", "last"])))
    for words in ("boston@1 → last", "metricrmse1.234571  -0.234568 better", "paramalpha0.5-"):
        assert words in fragment.text
    assert 'class="lin-good">1  -0.234568 better' in comparison_html(compare_runs(project, [run, other]))
    assert fragment.text.strip().endswith("the same: tags, artifacts, source, environment, host")


def test_hunks_unfold_below_a_line_for_their_file(project_and_run: "tuple[Project, RunInfo]"):
    project, run = project_and_run
    compared = compare_runs(project, [run, run])
    hunks = "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-old <b>\n+new\n"
    files = [
        FileChange(path="a", kind="changed", plus=1, minus=1, hunks=hunks),
        FileChange(path="run.sh", kind="changed", plus=0, minus=0, hunks="old mode 100644\nnew mode 100755\n"),
        FileChange(path="b", kind="added", note="no text, or too long: 9 bytes"),
    ]
    compared = msgspec.structs.replace(compared, source=[SourceChange(runs=[run.id], files=files, note=None)])
    html = comparison_html(compared)
    text = read(html).text
    assert "changed a +1 −1@@ -1 +1 @@\n-old <b>\n+new" in text
    assert '<span class="lin-bad">-old &lt;b&gt;</span>' in html
    assert "changed run.sh +0 −0old mode 100644\nnew mode 100755" in text
    assert "added b no text, or too long: 9 bytes" in text


def test_foreign_text_of_a_comparison_stays_text(project_and_run: "tuple[Project, RunInfo]", evil: RunInfo):
    project, run = project_and_run
    files = [
        FileChange(path=EVIL, kind="changed", plus=1, minus=0, hunks=f"@@ -1 +1 @@\n+{EVIL}\n {EVIL}\n"),
        FileChange(path=EVIL, kind="unknown", note=EVIL),
    ]
    compared = msgspec.structs.replace(
        compare_runs(project, [run, evil], labels=[EVIL, EVIL]),
        tables=[TableChange(runs=[EVIL], table="t", old=0, new=1, diff=None, note=EVIL)],
        environment=[EnvironmentChange(runs=[EVIL], differences=[EVIL], note=EVIL)],
        source=[SourceChange(runs=[EVIL], files=files, note=EVIL)],
    )
    fragment = read(comparison_html(compared))
    assert fragment.text.count(SEEN) >= 20
    assert "\u202e" not in fragment.text


def test_a_table_diff():
    moved = Movement(key={"ID": EVIL}, old=None, new=EVIL)
    diff = TableDiff(
        table="t",
        old=0,
        new=1,
        key=["ID"],
        updated=2,
        columns={EVIL: 2},
        details={EVIL: ColumnChange(filled=2, emptied=0, largest=moved)},
        rows=[RowChange(kind="updated", key={"ID": EVIL}, old={EVIL: None}, new={EVIL: EVIL})],
        added_columns=[EVIL],
    )
    fragment = read(diff_html(diff))
    assert fragment.text.lstrip().startswith("t@0 → t@1\nRows are matched by ID.")
    assert "and 1 more rows" in fragment.text
    assert fragment.text.count(SEEN) == 7
