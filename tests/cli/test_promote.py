from inline_snapshot import snapshot


def test_archives_the_holder(lin):
    result = lin("promote", "boston@2", "production", "-m", "better")
    assert (result.code, result.out, result.err) == snapshot(
        (0, "boston@2 is in production; boston@1 is archived\n", "")
    )
    assert [version["stage"] for version in lin("models", "--json").json()] == ["archived", "production"]


def test_json(lin):
    assert lin("promote", "boston@2", "Staging", "--json").json() == snapshot(
        {
            "model": "boston",
            "version": 2,
            "stage": "staging",
            "archived": [],
            "gates": [],
            "forced": False,
            "refused": False,
        }
    )


def test_says_that_declared_gates_are_not_checked(lin, built):
    with (built / "lineage.toml").open("a") as file:
        file.write('[models.boston]\ngates = { production = ["metrics.rmse < 1"] }\n')
    result = lin("promote", "boston@2", "production", "--json")
    assert result.json()["stage"] == "production"
    assert result.err == snapshot(
        "warning: lineage.toml declares gates for production; this lin does not check gates yet\n"
    )
