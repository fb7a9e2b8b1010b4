"""The page of a graph, looked at with a real browser: what one does there, and that nothing foreign does anything."""

import fcntl
import itertools
import json
import os
import re
import select
import shutil
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from lin.lineage.graph import Edge, Graph, Node, NodeKind
from lin.lineage.graph_page import MOST_LINKS, graph_page

HOSTILE = [
    "<script>window.canary=1</script>",
    "</script><script>window.canary=2</script>",
    "\"><img src=x onerror='window.canary=3'>",
    "javascript:window.canary=4",
    "' onload='window.canary=5",
    "]]><svg onload=window.canary=6>",
    "a\u2028window.canary=7//\u2029b",
    "{title}{data}%s\\u003cscript\\u003e",
    "<!--<script>",
    "</title></style></svg><style>*{display:none}</style>",
    "\u202egnp.exe\x1b[31m\ud800",
    "https://example.invalid/beacon.png",
]
_SECONDS = 60


class Browser:
    """Chromium, spoken to through its pipe."""

    def __init__(self, program: str, home: Path) -> None:
        theirs_in, self._in = _pipe()
        self._out, theirs_out = _pipe()
        log = os.open(home / "log", os.O_CREAT | os.O_WRONLY)
        flags = ["headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "no-first-run"]
        quiet = ["disable-background-networking", "disable-component-update", "host-resolver-rules=MAP * ~NOTFOUND"]
        options = [*flags, *quiet, "remote-debugging-pipe", f"user-data-dir={home}"]
        places = [(theirs_in, 3), (theirs_out, 4), (log, 1), (log, 2)]
        self._process = os.posix_spawn(
            program,
            [program, *(f"--{option}" for option in options)],
            {"PATH": os.environ["PATH"], "HOME": str(home)},
            file_actions=[(os.POSIX_SPAWN_DUP2, ours, their) for ours, their in places],
        )
        for descriptor in (theirs_in, theirs_out, log):
            os.close(descriptor)
        self._numbers = itertools.count(1)
        self._rest = b""
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        message = {"id": next(self._numbers), "method": method, "params": params}
        os.write(self._in, json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0")
        while (answer := self.read()).get("id") != message["id"]:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            assert select.select([self._out], [], [], _SECONDS)[0], "the browser says nothing"
            data = os.read(self._out, 1 << 20)
            assert data, "the browser has ended"
            self._rest += data
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def close(self) -> None:
        with suppress(AssertionError, BrokenPipeError):
            self.call("Browser.close")
        os.waitpid(self._process, 0)
        os.close(self._in)
        os.close(self._out)


def _pipe() -> tuple[int, int]:
    """Both ends of a pipe, above the numbers that the browser wants for itself."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20) for end in ends]
    for end in ends:
        os.close(end)
    return high[0], high[1]


class Page:
    """A page in a tab, used as a person would: with mouse, fingers and keys."""

    def __init__(self, browser: Browser, url: str, *, width: int, height: int, script: bool) -> None:
        self._browser = browser
        self.tab = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = browser.call("Target.attachToTarget", targetId=self.tab, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.call("Page.navigate", url=url)
        while not self.events("Page.loadEventFired"):
            browser.events.append(browser.read())

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **params)

    def events(self, method: str) -> list[dict[str, Any]]:
        mine = [event for event in self._browser.events if event.get("sessionId") == self._session]
        return [event["params"] for event in mine if event["method"] == method]

    def ask(self, expression: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def box(self, selector: str) -> list[float]:
        """Left, top, width, height."""
        return self.ask(
            f"(() => {{const b = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
            "return [b.left, b.top, b.width, b.height]})()"
        )

    def middle(self, selector: str) -> tuple[float, float]:
        left, top, width, height = self.box(selector)
        return left + width / 2, top + height / 2

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, selector: str) -> None:
        x, y = self.middle(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x, y, button="left", clickCount=1)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.mouse("mousePressed", *start, button="left", clickCount=1)
        for share in (0.5, 1):
            self.mouse(
                "mouseMoved", *(a + (b - a) * share for a, b in zip(start, end, strict=True)), button="left", buttons=1
            )
        self.mouse("mouseReleased", *end, button="left", clickCount=1)

    def press(self, key: str, *, shift: bool = False) -> None:
        text = {"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, modifiers=8 if shift else 0, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def those(self, selector: str) -> set[int]:
        """The numbers of the cards that match."""
        return set(
            self.ask(
                "[...document.querySelectorAll('#nodes > *')].flatMap((card, n) =>"
                f" card.matches({json.dumps(selector)}) ? [n] : [])"
            )
        )

    def wait_for(self, is_so: Callable[[], bool]) -> None:
        end = time.monotonic() + _SECONDS
        while not is_so():
            assert time.monotonic() < end, "it does not come"
            self.ask("0")

    def wait_for_chosen(self, number: int) -> None:
        """What a link does comes a moment after the click."""
        self.wait_for(lambda: self.those(".chosen") == {number})

    def text(self, selector: str) -> str:
        return self.ask(f"document.querySelector({json.dumps(selector)}).innerText")


Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no Chromium here")
    started = Browser(program, tmp_path_factory.mktemp("browser"))
    yield started
    started.close()


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Opens the page of a graph; at the end it must have asked for nothing, and complained of nothing."""
    opened: list[Page] = []

    def start(
        graph: Graph, *, title: str = "a graph", width: int = 1280, height: int = 800, script: bool = True, at: str = ""
    ) -> Page:
        path = tmp_path / f"{len(opened)}.html"
        path.write_text(graph_page(graph, title=title), encoding="utf-8")
        opened.append(Page(browser, path.as_uri() + at, width=width, height=height, script=script))
        return opened[-1]

    yield start
    for page in opened:
        assert page.events("Log.entryAdded") == []
        assert page.events("Runtime.exceptionThrown") == []
        asked = {event["request"]["url"].partition("#")[0] for event in page.events("Network.requestWillBeSent")}
        assert asked == {f"{(tmp_path / f'{opened.index(page)}.html').as_uri()}"}
        browser.call("Target.closeTarget", targetId=page.tab)


def node(name: str, kind: NodeKind, detail: str = "", live: tuple[str, ...] = ()) -> Node:
    return Node(id=f"{kind}:{name}", kind=kind, name=name, detail=detail, live=list(live))


@pytest.fixture
def story() -> Graph:
    """0 boston@2 ← 1 run ← 2 housing@1 ← 3 predictions ← 4 boston@1 ← 5 run ← 6 housing@0, and 7 an environment."""
    nodes = [
        node("boston@2", "model", "registered by ann", ("production", "champion")),
        node("bb000001", "run", "train, finished: Ridge"),
        node("housing@1", "table", "fill by bob"),
        node("cc000002", "predictions", "predict, finished: fill"),
        node("boston@1", "model", "registered by ann"),
        node("dd000003", "run", "train, finished: Lasso"),
        node("housing@0", "table", "import by ann"),
        node("eeeeeeeeeeee", "environment", "python 3.11.9, 58 packages"),
    ]
    ways = [(1, 0, "registered"), (2, 1, "read"), (3, 2, "wrote"), (4, 3, "predicted"), (5, 4, "registered")]
    ways += [(6, 5, "read"), (6, 3, "read"), (7, 1, "ran in"), (7, 5, "ran in")]
    edges = [Edge(source=nodes[a].id, target=nodes[b].id, how=how) for a, b, how in ways]
    return Graph(root=nodes[0].id, direction="up", nodes=nodes, edges=edges)


@pytest.fixture
def hostile() -> Graph:
    """The worst names in every place, in a circle."""
    kinds: list[NodeKind] = ["table", "run", "model", "file"]
    nodes = [
        Node(id=name, kind=kinds[number % 4], name=name, detail=name * 2, live=[name])
        for number, name in enumerate(HOSTILE)
    ]
    edges = [Edge(source=a, target=b, how=a) for a, b in zip(HOSTILE, [*HOSTILE[1:], HOSTILE[0]], strict=True)]
    return Graph(root=HOSTILE[3], direction="down", nodes=nodes, edges=edges, left_out=4, notes=HOSTILE)


def crowd(count: int) -> Graph:
    nodes = [node("housing@1", "table"), *(node(f"{number:08x}", "run", "train") for number in range(1, count))]
    edges = [Edge(source=nodes[0].id, target=each.id, how="read") for each in nodes[1:]]
    return Graph(root=nodes[0].id, direction="down", nodes=nodes, edges=edges)


# --- looking --------------------------------------------------------------------------------------------------------


def test_the_whole_of_a_small_graph_is_seen_at_once(open_page: Open, story: Graph) -> None:
    page = open_page(story, title="what boston@2 was made from", width=1900)
    assert page.text("h1") == "what boston@2 was made from"
    left, top, width, height = page.box("#stage")
    for number in range(8):
        x, y = page.middle(f"#nodes > :nth-child({number + 1})")
        assert left < x < left + width
        assert top < y < top + height
    order = [6, 5, 4, 3, 2, 1, 0]
    assert sorted(order, key=lambda each: page.middle(f'[href="#n{each}"].node')) == order


def test_a_large_graph_opens_where_one_asked_and_can_be_fitted(open_page: Open) -> None:
    page = open_page(crowd(300))
    left, top, width, height = page.box(".root .card")
    assert width > 150
    assert left >= 0
    assert top >= page.box("#stage")[1]
    page.click("#fit")
    _, top, _, height = page.box("#nodes")
    assert top >= page.box("#stage")[1]
    assert top + height <= 800
    assert page.box(".root .card")[2] < width


def test_dragging_moves_the_graph_and_chooses_nothing_else(open_page: Open, story: Graph) -> None:
    page = open_page(story, at="#n3")
    start = page.middle(".chosen .card")
    page.drag(start, (start[0] - 120, start[1] + 90))
    assert page.middle(".chosen .card") == pytest.approx((start[0] - 120, start[1] + 90), abs=0.5)
    assert page.those(".chosen") == {3}


def test_a_hand_that_shakes_still_clicks(open_page: Open, story: Graph) -> None:
    page = open_page(story)
    x, y = page.middle(".root .card")
    page.drag((x, y), (x + 2, y + 2))
    assert page.those(".chosen") == {0}
    assert page.middle(".root .card")[1] == y


def test_the_wheel_zooms_around_the_pointer(open_page: Open, story: Graph) -> None:
    page = open_page(story)
    x, y = page.middle(".root .card")
    width = page.box(".root .card")[2]
    page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-120)
    assert page.ask("new Promise(done => requestAnimationFrame(() => done(true)))")
    assert page.middle(".root .card") == pytest.approx((x, y), abs=0.5)
    assert page.box(".root .card")[2] > width * 1.2
    page.mouse("mouseWheel", x, y, deltaX=0, deltaY=120)
    assert page.ask("new Promise(done => requestAnimationFrame(() => done(true)))")
    assert page.box(".root .card")[2] == pytest.approx(width, rel=0.01)


def test_buttons_and_keys_zoom(open_page: Open, story: Graph) -> None:
    page = open_page(story)
    width = page.box(".root .card")[2]
    page.click("#closer")
    page.press("+")
    assert page.box(".root .card")[2] == pytest.approx(width * 1.25**2, rel=0.01)
    page.click("#farther")
    page.press("-")
    assert page.box(".root .card")[2] == pytest.approx(width, rel=0.01)
    for _ in range(40):
        page.press("-")
    assert page.box(".root .card")[2] > 1
    page.press("0")
    assert page.box("#nodes")[2] < 1280


def test_two_fingers_zoom(open_page: Open, story: Graph) -> None:
    page = open_page(story, width=390, height=844)
    width = page.box(".root .card")[2]
    for kind, apart in (("touchStart", 50), ("touchMove", 75), ("touchMove", 100), ("touchEnd", 0)):
        points = [{"x": 200 - apart, "y": 500, "id": 1}, {"x": 200 + apart, "y": 500, "id": 2}] if apart else []
        page.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)
    assert page.box(".root .card")[2] == pytest.approx(width * 2, rel=0.05)


def test_names_stay_within_their_cards(open_page: Open) -> None:
    names = ["W" * 40, "i" * 80, "数据" * 20, "data/raw/2024/exports/housing_of_everybody.csv", "é" * 40, "MODEL_V2@12"]
    nodes = [node(name, "file", name * 2, (name,)) for name in names]
    page = open_page(Graph(root=nodes[0].id, direction="up", nodes=nodes, edges=[]))
    inside = """[...document.querySelectorAll("#nodes text.name, #nodes text.detail, .pill")].every((text) => {
      const card = text.closest("a").querySelector(".card").getBoundingClientRect(), box = text.getBoundingClientRect();
      return box.right <= card.right + 1 && box.left >= card.left - 1; })"""
    assert page.ask(inside)


# --- choosing -------------------------------------------------------------------------------------------------------


def test_a_click_shows_all_before_and_after_a_thing(open_page: Open, story: Graph) -> None:
    page = open_page(story)
    page.click('.node[href="#n3"]')
    assert page.those(".chosen") == {3}
    assert page.those(".up") == {4, 5, 6, 7}
    assert page.those(".down") == {2, 1, 0}
    lit = (
        "[...document.querySelectorAll('#edges > *')].map((line) => [...line.classList].filter((c) => c !== 'edge')[0])"
    )
    assert page.ask(lit) == ["down", "down", "down", "up", "up", "up", "up", None, "up"]
    told = page.text("#panel")
    assert "predictions" in told
    assert "cc000002" in told
    assert "predict, finished: fill" in told
    assert "4 before it, 3 after it" in told
    assert "boston@1 predicted" in told
    assert "housing@1 wrote" in told
    page.mouse("mousePressed", 20, 780, button="left", clickCount=1)
    page.mouse("mouseReleased", 20, 780, button="left", clickCount=1)
    assert page.those(".chosen, .up, .down") == set()
    assert page.ask("panel.hidden")


def test_links_of_the_panel_lead_on_and_the_browsers_way_back_leads_back(open_page: Open, story: Graph) -> None:
    page = open_page(story, at="#n3")
    assert page.those(".chosen") == {3}
    page.click('#panel [href="#n2"]')
    page.wait_for_chosen(2)
    assert page.ask("document.activeElement.getAttribute('href')") == "#n2"
    assert page.text("#panel h2") == "housing@1"
    page.ask("history.back()")
    page.wait_for_chosen(3)
    page.press("Escape")
    assert page.those(".chosen") == set()


def test_live_things_say_so_in_words(open_page: Open, story: Graph) -> None:
    page = open_page(story)
    assert page.those(".live") == {0}
    assert page.ask("document.querySelector('.pill text').textContent") == "● production, champion"
    page.click('.node[href="#n0"]')
    assert "● production ● champion" in page.text("#panel").replace("\n", " ")


def test_arrows_walk_along_the_lines(open_page: Open, story: Graph) -> None:
    page = open_page(story)
    page.press("ArrowLeft")
    assert page.those(".chosen") == {0}
    walked = []
    for key in ("ArrowLeft", "ArrowLeft", "ArrowLeft", "ArrowLeft", "ArrowRight", "ArrowRight"):
        page.press(key)
        walked += page.those(".chosen")
        assert page.ask("document.activeElement.getAttribute('href')") == f"#n{walked[-1]}"
    assert walked[0] == 1
    assert walked[1] in {2, 7}
    edges = {(story.nodes.index(a), story.nodes.index(b)) for a, b in _ends(story)}
    for (before, after), key in zip(itertools.pairwise([0, *walked]), [*"LLLL", *"RR"], strict=True):
        assert ((after, before) if key == "L" else (before, after)) in edges or before == after
    page.press("Home")
    assert page.those(".chosen") == {0}


def _ends(graph: Graph) -> Iterator[tuple[Node, Node]]:
    nodes = {each.id: each for each in graph.nodes}
    return ((nodes[edge.source], nodes[edge.target]) for edge in graph.edges)


def test_up_and_down_stay_in_the_column(open_page: Open) -> None:
    page = open_page(crowd(10), at="#n3")
    page.press("ArrowDown")
    below = page.those(".chosen").pop()
    assert page.box(f'.node[href="#n{below}"]')[1] > page.box('.node[href="#n3"]')[1]
    page.press("ArrowUp")
    assert page.those(".chosen") == {3}


# --- searching and filtering ----------------------------------------------------------------------------------------


def test_search_finds_counts_and_goes_on(open_page: Open, story: Graph) -> None:
    page = open_page(story)
    page.press("/")
    assert page.ask("document.activeElement.id") == "search"
    page.type("BOSTON")
    assert page.those(".hit") == {0, 4}
    assert page.text("#found") == "2 found"
    seen = []
    for shift in (False, False, False, True):
        page.press("Enter", shift=shift)
        seen.append((page.text("#found"), page.those(".chosen")))
    assert seen == [("1 of 2", {0}), ("2 of 2", {4}), ("1 of 2", {0}), ("2 of 2", {4})]
    x, y = page.middle(".chosen .card")
    left, top, width, height = page.box("#stage")
    assert left < x < left + width
    assert top < y < top + height
    page.press("Escape")
    assert page.those(".hit") == set()
    assert page.text("#found") == ""


@pytest.mark.parametrize(
    ("words", "found"), [("environment", {7}), ("58 pack", {7}), ("champion", {0}), ("zzz", set())]
)
def test_search_looks_at_kind_detail_and_stages(open_page: Open, story: Graph, words: str, found: set[int]) -> None:
    page = open_page(story)
    page.click("#search")
    page.type(words)
    assert page.those(".hit") == found
    assert page.text("#found") == f"{len(found)} found"
    page.press("Enter")
    assert page.those(".chosen") == found


def test_the_legend_hides_a_kind_and_shows_it_again(open_page: Open, story: Graph) -> None:
    page = open_page(story)
    page.click('[data-kind="run"]')
    assert page.those(".off") == {1, 5}
    assert page.ask("[...document.querySelectorAll('#edges > *')].filter((line) => !line.matches('.off')).length") == 3
    assert page.ask("document.querySelector('[data-kind=run]').getAttribute('aria-pressed')") == "false"
    page.click("#search")
    page.type("train")
    assert page.those(".hit") == set()
    page.press("Escape")
    page.click('.node[href="#n0"]')
    page.click('#panel [href="#n1"]')  # a link to what is hidden shows it
    page.wait_for_chosen(1)
    assert page.those(".off") == set()


# --- the table, paper, small screens, no script ---------------------------------------------------------------------


def test_the_table_tells_the_same(open_page: Open, story: Graph) -> None:
    page = open_page(story)
    assert page.ask("things.hidden")
    page.click("#as-table")
    assert page.ask("stage.hidden")
    row = "model|boston@2 (asked about)|registered by ann|● production ● champion|bb000001|"
    assert page.ask("[...document.querySelector('#n0').cells].map((cell) => cell.innerText).join('|')") == row
    page.click("#n3 td:nth-child(5) a")
    page.wait_for_chosen(4)
    page.click("#as-table")
    assert not page.ask("stage.hidden")


def test_a_cell_names_so_many_and_counts_the_others() -> None:
    page = graph_page(crowd(40), title="a crowd")
    row = re.search(r'<tr id="n0">.*</tr>', page)
    assert row
    assert row[0].count('<a href="#n') == 1 + MOST_LINKS
    assert f"and {39 - MOST_LINKS} more" in row[0]


def test_without_script_there_is_the_picture_and_the_table(open_page: Open, story: Graph) -> None:
    page = open_page(story, script=False)
    assert len(page.those(".node")) == 8
    assert page.box("#picture")[3] > 50
    assert page.box("#bar")[3] == 0
    assert page.box("#n0")[3] > 10
    page.click('.node[href="#n6"]')
    page.wait_for(lambda: page.ask("location.hash") == "#n6")
    page.wait_for(lambda: 0 <= page.box("#n6")[1] < 800)


def test_paper_has_the_whole_and_the_screen_what_it_had(open_page: Open, story: Graph) -> None:
    page = open_page(story)
    page.press("+")
    before = page.box(".root .card")
    page.ask("addEventListener('beforeprint', () => { window.seen = picture.getAttribute('viewBox'); })")
    printed = b64decode(page.call("Page.printToPDF", landscape=True)["data"])
    assert printed.startswith(b"%PDF")
    assert page.ask("window.seen").startswith("0 0 ")
    assert page.box(".root .card") == before
    page.call("Emulation.setEmulatedMedia", media="print")
    assert page.box("#bar")[3] == 0
    assert page.box("#n7")[3] > 10


@pytest.mark.parametrize("at", ["", "#n2"])
def test_a_small_screen_is_enough(open_page: Open, story: Graph, at: str) -> None:
    page = open_page(story, width=390, height=844, at=at)
    assert page.ask("document.scrollingElement.scrollWidth") <= 390
    assert page.box("#stage")[3] > 250
    assert page.box(".root .card" if not at else ".chosen .card")[2] > 100
    left, _, width, _ = page.box("#as-table")
    assert left + width <= 390


def test_everything_has_a_name_for_those_who_do_not_see(open_page: Open, story: Graph) -> None:
    page = open_page(story)
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    named = {(each["role"]["value"], each.get("name", {}).get("value")) for each in tree if not each["ignored"]}
    assert ("link", "model boston@2, live as production, champion: registered by ann (asked about)") in named
    assert {("searchbox", "Search"), ("button", "Closer"), ("button", "Farther away"), ("button", "Fit")} <= named
    assert not [role for role, name in named if role in {"link", "button", "searchbox"} and not name]
    assert page.ask("[...document.querySelectorAll('.node')].filter((card) => card.tabIndex === 0).length") == 1


def _colours() -> list[dict[str, str]]:
    style = files("lin.lineage").joinpath("graph_page.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{([^}]*)\}", style)
    schemes = [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", scheme)) for scheme in (light, dark)]
    assert schemes[0].keys() == schemes[1].keys()
    return schemes


@pytest.mark.parametrize("colours", _colours(), ids=["light", "dark"])
def test_texts_can_be_told_from_what_is_behind_them(colours: dict[str, str]) -> None:
    on_paper = [(text, "paper") for text in ("ink", "grey", "up", "down", "back")]
    on_board = [(text, "board") for text in ("ink", "grey", "up", "down", "back", "live")]
    kinds = ["table", "column", "run", "model", "predictions", "file", "source", "environment"]
    for text, ground in [*on_paper, *on_board, ("live-ink", "live"), *(("badge-ink", kind) for kind in kinds)]:
        assert _contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for mark in (*kinds, "focus"):
        assert _contrast(colours[mark], colours["paper"]) >= 3, mark


def _contrast(one: str, other: str) -> float:
    """As WCAG 2 has it."""
    darker, brighter = sorted(_luminance(colour) for colour in (one, other))
    return (brighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# --- what is foreign ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", [True, False])
def test_hostile_names_are_shown_and_do_nothing(open_page: Open, hostile: Graph, *, script: bool) -> None:
    page = open_page(hostile, title=HOSTILE[1], script=script)
    if script:
        for number in range(len(HOSTILE)):
            page.ask(f"location.hash = 'n{number}'")
            page.click("#search")
            page.type(HOSTILE[number].encode("utf-8", "replace").decode())
            page.press("Enter")
            page.press("Escape")
        page.ask("new Promise((done) => setTimeout(done, 50))")
    assert page.ask("typeof window.canary") == "undefined"
    assert page.ask("document.title") == HOSTILE[1]
    counts = page.ask("['script', 'img', 'style', 'svg svg'].map((tag) => document.querySelectorAll(tag).length)")
    assert counts == [2, 0, 1, 0]
    addresses = page.ask("[...document.links].map((link) => link.getAttribute('href'))")
    assert all(re.fullmatch(r"#n\d+", address) for address in addresses if address is not None)
    shown = page.ask("[...document.querySelectorAll('#rows td:nth-child(2) a')].map((link) => link.textContent)")
    assert shown[:6] == HOSTILE[:6]
    assert shown[6] == "a\\u2028window.canary=7//\\u2029b"
    assert shown[10] == "\\u202egnp.exe\\x1b[31m\\ud800"


def test_the_panel_shows_a_hostile_name_as_it_is(open_page: Open, hostile: Graph) -> None:
    page = open_page(hostile, at="#n2")
    assert page.text("#panel h2") == HOSTILE[2]
    assert HOSTILE[1] in page.text("#panel ul")
    assert page.those(".up") == set(range(len(HOSTILE))) - {2}  # a circle


def test_no_other_script_would_run(browser: Browser, story: Graph, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    injected = "<script>window.canary = 1</script><b onclick='window.canary = 2'>x</b><i style='color: red'>y</i>"
    path.write_text(graph_page(story, title="t").replace("<main>", f"{injected}<main>"), encoding="utf-8")
    page = Page(browser, path.as_uri(), width=800, height=600, script=True)
    page.ask("document.querySelector('b').click()")
    page.ask(
        "document.body.append(Object.assign(document.createElement('script'), {src: 'https://example.invalid/a'}))"
    )
    page.ask("(new Image()).src = 'https://example.invalid/b'")
    assert page.ask("typeof window.canary") == "undefined"
    assert page.ask("getComputedStyle(document.querySelector('i')).color") != "rgb(255, 0, 0)"
    assert len(page.those(".node")) == 8
    page.wait_for(lambda: len(page.events("Network.loadingFailed")) == 2)
    assert {failed["blockedReason"] for failed in page.events("Network.loadingFailed")} == {"csp"}
    browser.call("Target.closeTarget", targetId=page.tab)


def test_what_was_asked_about_and_left_out_is_said(open_page: Open, hostile: Graph) -> None:
    page = open_page(hostile)
    assert "12 things, 12 ways between them; 4 more right behind these are not shown" in page.text("header")
    assert page.those(".root") == {3}
    assert page.those(".live") == set(range(12))
    assert page.ask("document.querySelectorAll('#edges .back').length") == 1
    assert "back into what it came from" in page.text("#legend")


def test_the_same_graph_makes_the_same_page(story: Graph, hostile: Graph) -> None:
    for graph in (story, hostile, crowd(100)):
        page = graph_page(graph, title="t")
        assert page == graph_page(graph, title="t")
        page.encode()  # what cannot be written down is told, not kept
