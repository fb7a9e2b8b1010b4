from inline_snapshot import snapshot


def test_a_model_up_to_the_import(lin):
    result = lin("trace", "boston@2")
    assert result.text == snapshot("""\
model boston@2  registered by ann
└── run ########  train, finished: Ridge
    └── table housing@1  WRITE by ann
        └── run ########  predict, finished: boston@1 into housing.medv
            ├── table housing@0  CREATE TABLE by ann
            │   └── run ########  import, finished: housing.csv into housing
            └── model boston@1  registered by ann, production
                └── run ########  train, finished: Ridge alpha=1.0
                    └── table housing@0  (see above)
""")
    assert (result.code, result.err) == (0, "")


def test_json_is_a_tree(lin):
    node = lin("trace", "housing@0", "--json").json()
    source = node["sources"][0]
    assert source.pop("name") == lin("runs", "--all", "--json").json()[-1]["id"][-8:]
    assert node == snapshot(
        {
            "kind": "table",
            "name": "housing@0",
            "detail": "CREATE TABLE by ann",
            "sources": [
                {"kind": "run", "detail": "import, finished: housing.csv into housing", "sources": [], "seen": False}
            ],
            "seen": False,
        }
    )
