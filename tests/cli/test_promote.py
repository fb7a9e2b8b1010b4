from inline_snapshot import snapshot

GATES = """
[models.boston.gates]
production = ["metrics.rmse < 1000", "reproduced", "comment required"]
"""


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


def declare(built, gates=GATES):
    with (built / "lineage.toml").open("a") as file:
        file.write(gates)


def test_gates_are_told_with_evidence_and_what_fails_is_not_moved(lin, built):
    declare(built)
    result = lin("promote", "boston@2", "production")
    assert (result.code, result.err) == snapshot((1, "nothing was moved; the refusal is kept\n"))
    assert result.text == snapshot("""\
        gate                 evidence
passed  metrics.rmse < 1000  metrics.rmse is 1.63747… \n\
failed  reproduced           nobody has re-run it: lin rerun boston@2
failed  comment required     nobody commented on it: lin comment boston@2 TEXT
boston@2 is not moved to production: 2 gates failed
""")
    assert lin("models", "--json").json()[0]["stage"] == "production"
    events = len([*(built / ".lin/events").iterdir()])
    dry = lin("promote", "boston@2", "production", "--dry-run")
    assert (dry.code, dry.err) == snapshot((1, "nothing was changed\n"))
    assert dry.text.splitlines()[-1] == snapshot("boston@2 would not move to production: 2 gates failed")
    assert len([*(built / ".lin/events").iterdir()]) == events


def test_a_refusal_as_json(lin, built):
    declare(built, '[models.boston]\ngates = { production = ["comment required"] }\n')
    result = lin("promote", "boston@2", "production", "--json")
    assert (result.code, result.json()) == snapshot(
        (
            1,
            {
                "model": "boston",
                "version": 2,
                "stage": "production",
                "archived": [],
                "gates": [
                    {
                        "gate": "comment required",
                        "passed": False,
                        "evidence": "nobody commented on it: lin comment boston@2 TEXT",
                    }
                ],
                "forced": False,
                "refused": True,
            },
        )
    )


def test_a_model_trained_on_predictions_does_not_pass_no_feedback(lin, built):
    declare(built, '[models.boston]\ngates = { production = ["no feedback"] }\n')
    (first, second) = (lin("promote", f"boston@{number}", "production", "--json").json() for number in (1, 2))
    assert [first["refused"], second["refused"]] == [False, True]
    assert second["gates"][0]["evidence"].startswith("173 of 506 values of the target medv in housing@1 were written")


def test_force_takes_a_reason_and_says_what_it_went_past(lin, built):
    declare(built)
    bare = lin("promote", "boston@2", "production", "--force")
    assert (bare.code, bare.out, bare.err) == snapshot(
        (2, "", "error: a promotion is forced without a reason (hint: --force --reason 'WHY'; it stays visible)\n")
    )
    planned = lin("promote", "boston@2", "production", "--force", "--dry-run")
    assert (planned.code, planned.out.splitlines()[-1]) == snapshot(
        (0, "boston@2 would be in production, forced past 2 gates; boston@1 would be archived")
    )
    forced = lin("promote", "boston@2", "production", "--force", "-m", "the fill is known")
    assert (forced.code, forced.out.splitlines()[-1], forced.err) == snapshot(
        (0, "boston@2 is in production, forced past 2 gates; boston@1 is archived", "")
    )


def test_what_a_check_prints_goes_to_stderr(lin, built):
    (built / "check.sh").write_text('printf "looking\\n\\033[31mred"\n')
    declare(built, '[models.boston]\ngates = { staging = ["command: sh check.sh"] }\n')
    result = lin("promote", "boston@2", "staging")
    assert (result.code, result.out, result.err) == snapshot(
        (
            0,
            """\
        gate                  evidence
passed  command: sh check.sh  exit code 0: ?[31mred
boston@2 is in staging
""",
            """\
looking
\\x1b[31mred
""",
        )
    )


def test_a_wrong_filter_is_pointed_at(lin, built):
    declare(built, '[models.other]\ngates = { production = ["metrics.rmse << 6"] }\n')
    result = lin("promote", "boston@2", "staging")
    assert (result.code, result.out, result.err) == snapshot(
        (
            2,
            "",
            """\
error: lineage.toml: [models.other] gates.production: expected a value after '<' (hint: text stands in quotes: '<')
  metrics.rmse << 6
                ^
""",
        )
    )
