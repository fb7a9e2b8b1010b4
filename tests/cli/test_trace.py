import re

import pytest
from inline_snapshot import snapshot


def blot(text: str) -> str:
    """Without what depends on where the tests run."""
    return re.sub(r"python [\d.]+, \d+ packages", "python …, … packages", text)


def test_a_model_up_to_the_import(lin):
    result = lin("trace", "boston@2")
    assert blot(result.text) == snapshot("""\
model boston@2  registered by ann
└── run ########  train, finished: Ridge, on predictions of medv by boston@1
    ├── table housing@1  WRITE by ann
    │   └── predictions ########  predict, finished: boston@1 into housing.medv
    │       ├── table housing@0  CREATE TABLE by ann
    │       │   └── run ########  import, finished: housing.csv into housing
    │       │       ├── source ############  2 files
    │       │       └── environment ############  python …, … packages
    │       ├── model boston@1  registered by ann, production
    │       │   └── run ########  train, finished: Ridge alpha=1.0
    │       │       ├── table housing@0  CREATE TABLE by ann  (see above)
    │       │       ├── source ############  2 files
    │       │       └── environment ############  python …, … packages
    │       ├── source ############  2 files
    │       └── environment ############  python …, … packages
    ├── source ############  2 files
    └── environment ############  python …, … packages
""")
    assert (result.code, result.err) == (0, "")


def test_json_is_a_graph(lin):
    graph = lin("trace", "housing@0", "--json").json()
    run = lin("runs", "--all", "--json").json()[-1]["id"]
    assert (graph["root"], graph["direction"], graph["left_out"]) == ("table:housing@0", "up", 0)
    assert graph["edges"][0] == {"source": f"run:{run}", "target": "table:housing@0", "how": "wrote"}
    assert graph["nodes"][0] == snapshot(
        {"id": "table:housing@0", "kind": "table", "name": "housing@0", "detail": "CREATE TABLE by ann", "live": []}
    )


def test_depth_and_columns(lin):
    result = lin("trace", "housing@1:medv", "--depth", "1")
    # how many depends on what this process had loaded when the first environment was captured
    assert re.sub(r"… \d more", "… more", blot(result.text)) == snapshot("""\
column housing@1:medv  WRITE by ann
├── predictions ######## (wrote 173 cells)  predict, finished: boston@1 into housing.medv
└── run ######## (wrote 333 cells)  import, finished: housing.csv into housing
… more things right behind these
""")


@pytest.mark.parametrize(("form", "begin"), [("--mermaid", "flowchart LR\n"), ("--dot", "digraph lineage {\n")])
def test_other_forms(lin, form, begin):
    result = lin("trace", "boston@2", form)
    assert (result.code, result.out[: len(begin)]) == (0, begin)
    assert "table housing@1" in result.out


def test_a_page(lin, built):
    result = lin("trace", "boston@2", "--html", "graph.html")
    assert (result.code, result.out.split(":")[0]) == (0, "graph.html")
    assert "housing@1" in (built / "graph.html").read_text()
    failed = lin("trace", "boston@2", "--html", "nowhere/graph.html")
    assert (failed.code, failed.err) == (13, "error: nowhere/graph.html cannot be written: No such file or directory\n")


def test_one_form_at_a_time(lin):
    result = lin("trace", "boston@2", "--dot", "--json")
    assert (result.code, result.out, result.err) == snapshot(
        (2, "", "error: --dot and --json cannot be had at once (hint: only --dot)\n")
    )
