from inline_snapshot import snapshot


def test_lists_every_version(lin):
    result = lin("models")
    assert result.text == snapshot("""\
model     stage       run       registered (UTC)     by   re-run  description
boston@1  production  ########  0000-00-00 00:00:00  ann          the first
boston@2              ########  0000-00-00 00:00:00  ann
""")
    assert (result.code, result.err) == (0, "")


def test_json_has_the_moves(lin):
    first, second = lin("models", "--json").json()
    assert list(first) == snapshot(
        [
            "model",
            "version",
            "stage",
            "run",
            "artifact",
            "sha256",
            "description",
            "registered",
            "actor",
            "history",
            "golden",
            "proof",
            "email",
            "aliases",
            "tags",
            "comments",
            "approvals",
            "unsafe",
        ]
    )
    assert [(move["stage"], move["actor"]) for move in first["history"]] == [("production", "ann")]
    assert (second["version"], second["stage"], second["history"]) == (2, "none", [])
