from inline_snapshot import snapshot

RIDGE = "sklearn.linear_model.Ridge"


def test_what_came_of_the_first_version(lin):
    result = lin("impact", "housing@0")
    assert result.text == snapshot("""\
in production now  boston@1
model versions     2: boston@1, boston@2
predictions        1: 173 rows by boston@1 in housing@1 (medv)
table versions     1: housing@1
runs               5

table housing@0  CREATE TABLE by ann
├── run ########  train, finished: Ridge alpha=1.0
│   └── model boston@1  registered by ann, production
│       └── predictions ########  predict, finished: boston@1 into housing.medv
│           └── table housing@1  WRITE by ann
│               └── run ########  train, finished: Ridge, on predictions of medv by boston@1
│                   └── model boston@2  registered by ann
├── predictions ########  predict, finished: boston@1 into housing.medv  (see above)
├── run ########  train, finished: Ridge alpha=0.1
└── run ########  train, finished: Lasso alpha=0.5
""")
    assert (result.code, result.err) == (0, "")


def test_json_has_lists_and_the_graph(lin):
    found = lin("impact", "boston@1", "--json").json()
    lists = ("runs", "models", "live", "predictions", "tables", "files")
    assert {name: len(found[name]) for name in lists} == snapshot(
        {"runs": 2, "models": 1, "live": 0, "predictions": 1, "tables": 1, "files": 0}
    )
    assert found["predictions"][0]["rows"] == 173
    assert found["graph"]["direction"] == "down"


def test_nothing_came_of_it(lin):
    result = lin("impact", "boston@2")
    assert result.text == snapshot("""\
nothing that is recorded was made from boston@2

model boston@2  registered by ann
""")


def test_many_things_are_cut_on_a_terminal(lin):
    for number in range(20):
        lin("train", "--table", "housing", "--target", "medv", "--model", RIDGE, "--seed", number)
        lin("register", "last", "many")
    result = lin("impact", "housing@1")
    assert "… and 1 more run: --json has all" in result.out
    assert result.out.split("\n")[1].startswith("model versions     21: boston@2, many@1")


def test_mermaid(lin):
    result = lin("impact", "boston@1", "--mermaid")
    assert (result.code, result.out.splitlines()[0]) == (0, "flowchart LR")
