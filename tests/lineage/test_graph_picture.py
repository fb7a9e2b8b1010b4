"""What fits into a card, and what is said of a thing."""

import re

import pytest

from lin.lineage.graph import Edge, Graph, Node
from lin.lineage.graph_layout import lay_out
from lin.lineage.graph_picture import cut, draw_picture, show, tell


def test_a_long_name_loses_its_middle() -> None:
    name = "data/raw/2024/exports/of-everything/housing.csv"
    shown = cut(name, 164, 13)
    start, end = shown.split("…")
    assert name.startswith(start)
    assert name.endswith(end)
    assert min(len(start), len(end)) >= 7


@pytest.mark.parametrize("name", ["housing@1", "", "i" * 30])
def test_what_fits_is_not_cut(name: str) -> None:
    assert cut(name, 164, 13) == name


def test_broad_letters_are_cut_sooner() -> None:
    assert len(cut("数" * 40, 164, 13)) < len(cut("n" * 40, 164, 13)) < len(cut("l" * 40, 164, 13))


def test_what_turns_or_hides_a_text_is_shown() -> None:
    assert show("a\u202eb\u2028c\x1b\ud800é") == "a\\u202eb\\u2028c\\x1b\\ud800é"


def test_a_thing_tells_all_in_a_line() -> None:
    node = Node(id="m", kind="model", name="boston@1", detail="registered by ann", live=["production", "best"])
    assert tell(node) == "model boston@1, live as production, best: registered by ann"
    assert tell(Node(id="t", kind="table", name="a@0", detail=""), is_root=True) == "table a@0 (asked about)"


def test_there_and_back_are_two_lines_and_a_thing_of_itself_has_one_around_it() -> None:
    nodes = [Node(id=name, kind="table", name=name, detail="") for name in "ab"]
    ends = [(0, 1), (1, 0), (1, 1)]
    edges = [Edge(source=nodes[source].id, target=nodes[target].id, how="") for source, target in ends]
    graph = Graph(root="a", direction="down", nodes=nodes, edges=edges)
    picture = draw_picture(graph, lay_out(2, ends), ends)
    there, back, own = re.findall(r'<path class="(edge(?: back)?)" d="M(\d+) (\d+)([^"]*)"', picture)
    assert (there[0], back[0], own[0]) == ("edge", "edge back", "edge back")
    assert there[2] != back[2]
    assert int(own[3].split("H")[0].split()[-1]) < int(own[2])  # above it
