import re
import shutil
import subprocess
import sys

from inline_snapshot import snapshot


def test_what_needs_attention_comes_first(lin):
    lin("promote", "boston@2", "production")
    result = lin("status")
    assert blot_times(result.text).replace("values of the target medv", "…") == snapshot("""\
needs attention
  boston@2 in production: 173 of 506 … in housing@1 were written by boston@1 (housing@1, by ann, run ########)

table    head  written (UTC)     by   how
housing     1  0000-00-00  ann  written by boston@1, run ########

model     stage       since       by   re-run  data       also
boston@2  production  0000-00-00  ann  never   housing@1  feedback in target
""")
    assert (result.code, result.err) == (0, "")
    assert lin("status", "--exit-code").code == 1


def test_a_sound_project_needs_none(lin):
    result = lin("status", "--exit-code")
    assert blot_times(result.text) == snapshot("""\
nothing needs attention

table    head  written (UTC)     by   how
housing     1  0000-00-00  ann  written by boston@1, run ########

model     stage       since       by   re-run  data                      also
boston@1  production  0000-00-00  ann  never   housing@0, changed by @1
""")
    assert result.code == 0


def test_json_is_the_record(lin):
    found = lin("status", "--json").json()
    assert list(found) == [
        *("time", "attention", "tables", "models", "unstaged", "running", "abandoned", "failed", "failures"),
        *("decisions", "problems"),
    ]
    assert found["models"][0]["data"] == [
        {"table": "housing", "read": 0, "head": 1, "changed": True, "problem": None},
    ]


def test_what_failed_and_what_was_abandoned_is_told(lin, built):
    lin("run", "--", sys.executable, "-c", "import sys; sys.exit(3)")
    program = (
        "import sys; from pathlib import Path; from lin.project import open_project;"
        "from lin.runs.record import begin_run, capture; p = open_project(Path(sys.argv[1]));"
        "begin_run(p, capture(p), kind='command', name='lost')"
    )
    subprocess.run([sys.executable, "-c", program, str(built)], check=True)
    assert blot_times("\n".join(lin("status").text.splitlines()[-4:])) == snapshot("""\

failed            started (UTC)     by   why
########  python  0000-00-00  ann  exit code 3
1 run abandoned: lin runs --where "status = 'abandoned'"\
""")


def test_a_damaged_table_is_told_and_hides_nothing(lin, built):
    shutil.rmtree(built / "data" / "housing" / "_delta_log")
    result = lin("status", "--exit-code")
    assert result.code == 1
    assert "boston@1  production" in result.text
    assert result.text.count("is not a Delta table") == 2


def blot_times(text: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\d( \d\d:\d\d)?", "0000-00-00", text)
