"""A page made of hostile text is the page made of harmless text: no element, attribute or script more, at any place."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from lin.data.diff import diff_versions
from lin.data.tables import open_table
from lin.project import Project
from lin.proof.attribution.answer import Attribution, AxisEffect, Cell, Side
from lin.proof.attribution.plot import draw_attribution
from lin.runs.cards import comparison_html, diff_html, run_html
from lin.runs.compare import compare_runs
from lin.runs.query import list_runs
from lin.runs.where import Field, format_field

Make = Callable[[str], dict[str, str]]
MARK = "EVIL"
HOSTILE = {
    "elements": f"{MARK}<script>alert(1)</script><img src=x onerror=alert(1)>",
    "ends": f"{MARK}</title></style></script></td></svg></pre><svg onload=a>",
    "attributes": f'{MARK}" onload="alert(1)\' onload=\'alert(1) ><b x=`a` \\"',
    "comments": f"javascript:alert(1)//{MARK}<!-- --!> <![CDATA[ <?php <!DOCTYPE ]]> <!--<script>",
    "lines": f"{MARK}\u2028alert(1)\u2029\u202e\u2066\x85\ufeff\u200b",
    "templates": f"{MARK}{{0}}{{title}}{{{{x}}}}%s%(a)s$x^2$\\1\\g<0>${{alert(1)}}\\u003cscript\\u003e&lt;b&gt;&#60;",
}
"""By what they attack. None has a control character: names of params could not."""

OWN_ADDRESS = re.compile(r"#[\w-]+|data:image/png;base64,[\sA-Za-z0-9+/=]+")
LENGTH = 130
"""More than cards for notebooks show: the rest stands in the tips."""


class Parts(HTMLParser):
    """What a page is made of: elements with their attributes' names, scripts, comments, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: Counter[tuple[str, ...]] = Counter()
        self.values: list[tuple[str, str]] = []
        self.scripts: list[str] = []
        self.text = ""
        self._inside: str | None = None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found[tag, *sorted(name for name, _ in attrs)] += 1
        self.values += [(name, value or "") for name, value in attrs]
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.found[f"/{tag}",] += 1
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        else:
            self.text += data

    def handle_comment(self, data: str) -> None:
        self.found["comment", data] += 1

    def handle_decl(self, decl: str) -> None:
        self.found["declaration", decl] += 1

    def unknown_decl(self, data: str) -> None:
        self.found["unknown", data] += 1

    def handle_pi(self, data: str) -> None:
        self.found["instruction", data] += 1

    @property
    def code(self) -> list[str]:
        """The scripts that are no data."""
        return [script for script in self.scripts if not is_json(script)]


def is_json(text: str) -> bool:
    """Whether it is data."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def attribution(text: str) -> Attribution:
    """As `lin why --attribute` finds them."""
    one = Side(run=text, label=text, recorded=1.0, replayed=[1.0])
    effect = AxisEffect(axes=[text], shapley=1.0, share=1.0, low=0.5, high=1.5, alone=1.0, taken_out=1.0)
    cell = Cell(what=text, axes=[text], parts=[text], repeat=0, run=text, value=1.0, error=text, seconds=1.0)
    return Attribution(
        on=text,
        a=one,
        b=one,
        effect=1.0,
        noise=0.0,
        axes=[text],
        cells=[cell],
        estimated=False,
        blocks=[],
        effects=[effect],
        interactions=[],
        seeds=None,
        steps=[],
        checks=[],
        causes=[],
        relation=None,
        verdict="inconclusive",
        sentence=text,
        notes=[text],
        undo=[],
    )


def pages_of(project: Project, runs: list[str], text: str, lin: Callable[..., Any]) -> Iterator[tuple[str, str]]:
    """Each page that lin makes, by what makes it; fragments for notebooks are called `card`."""
    path = project.root / "page.html"
    param, metric, tag = (format_field(Field(kind, text)) for kind in ("params", "metrics", "tags"))
    column, value = (mark + text.replace(mark, mark * 2) + mark for mark in "\"'")
    commands = {
        "diff": ["diff", "evil", "0", "1", "--where", f"{column} <> {value}", "--output", path],
        "plot table": ["plot", "evil", "--target", text, "--output", path],
        "plot runs": [
            *("plot", "runs", "--x", "params.x", "--y", metric),
            *("--color", param, "--output", path),
        ],
        "plot texts": ["plot", "runs", "--x", tag, "--y", "params.x", "--output", path],
        "plot curves": ["plot", "runs", "--output", path],
        "plot one": ["plot", runs[0], "--output", path],
        "trace": ["trace", "boston@1", "--html", path],
        "trace column": ["trace", f"evil@1:{text}", "--html", path],
        "impact": ["impact", "evil@1", "--html", path],
    }
    for name, words in commands.items():
        assert lin(*words).code == 0, name
        yield name, path.read_text(encoding="utf-8")
    draw_attribution(attribution(text), path)
    yield "why", path.read_text(encoding="utf-8")
    table = open_table(project, "evil")
    infos = list_runs(project.store, limit=10).runs
    yield "card of a run", "".join(map(run_html, infos))
    yield "card of a comparison", comparison_html(compare_runs(project, infos, labels=[text] * len(infos)))
    yield "card of a diff", diff_html(diff_versions(table, 0, 1))


@pytest.fixture(scope="module")
def harmless(make: Make) -> dict[str, Parts]:
    """What the pages are made of where the text is a word."""
    return {name: Parts(page) for name, page in make("x" * LENGTH).items()}


@pytest.fixture(scope="module")
def make(
    tmp_path_factory: pytest.TempPathFactory,
    plant: Callable[[Path, str, str], tuple[Project, list[str]]],
    lin: Callable[..., Any],
) -> Make:
    """Makes all pages of a project with this text in each field, by their names."""

    def make(text: str) -> dict[str, str]:
        folder = tmp_path_factory.mktemp("pages")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setenv("HOME", str(folder))
            patch.setenv("LIN_ACTOR", "ann")
            return dict(pages_of(*plant(folder, text, text), text, lin))

    return make


@pytest.mark.parametrize("how", HOSTILE)
def test_pages_are_made_of_the_same_parts(make: Make, harmless: dict[str, Parts], how: str) -> None:
    pages = make(HOSTILE[how].ljust(LENGTH, "x"))
    assert set(pages) == set(harmless)
    for name, page in pages.items():
        parts, expected = Parts(page), harmless[name]
        assert MARK in parts.text, name
        assert parts.found == expected.found, name
        assert parts.code == expected.code, name
        assert len(parts.scripts) == len(expected.scripts), name
        assert not any("<" in script for script in parts.scripts if is_json(script)), name
        assert {c for c in page if not c.isprintable()} <= {"\n"}, name
        for attribute, value in parts.values:
            assert attribute not in {"src", "action", "srcdoc"}, name
            assert not attribute.endswith("href") or OWN_ADDRESS.fullmatch(value), (name, value)
            assert MARK not in value or attribute in {"title", "aria-label"}, (name, attribute)


def test_whole_pages_have_a_policy(harmless: dict[str, Parts]) -> None:
    for name, parts in harmless.items():
        policies = [value for attribute, value in parts.values if value.startswith("default-src 'none'")]
        assert len(policies) == (not name.startswith("card")), name
        assert not any("script-src" in policy and "unsafe" in policy for policy in policies)
