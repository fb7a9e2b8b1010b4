import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lin.runs.redact import REDACTED, redact_command, redact_text, says_secret

CANARY = "Xq7CANARYp9z"
R = REDACTED


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["--token", CANARY], ["--token", R]),
        (["--token=" + CANARY], ["--token=" + R]),
        (["--token", "-" + CANARY], ["--token", R]),
        (["-token", CANARY, "fit"], ["-token", R, "fit"]),
        (["--auth", "--lr", "0.1"], ["--auth", "--lr", "0.1"]),
        (["--password", "-v", CANARY], ["--password", "-v", CANARY]),
        (["--password", "--token", CANARY], ["--password", "--token", R]),
        ([f"--password={CANARY} with {CANARY}"], [f"--password={R}"]),
        ([f"DB_PASSWORD={CANARY}", "python"], [f"DB_PASSWORD={R}", "python"]),
        ([f"PGPASSWORD={CANARY}"], [f"PGPASSWORD={R}"]),
        (["-P", f"model.api_key={CANARY}"], ["-P", f"model.api_key={R}"]),
        ([f"--param=token={CANARY}"], [f"--param=token={R}"]),
        ([f"-Dtoken={CANARY}"], [f"-Dtoken={R}"]),
        ([f"--clientSecret={CANARY}"], [f"--clientSecret={R}"]),
        (["-H", f"Authorization: Basic {CANARY}"], ["-H", f"Authorization:{R}"]),
        (["sh", "-c", f"x=1 curl --token {CANARY} host"], ["sh", "-c", f"x=1 curl --token {R} host"]),
        (["sh", "-c", f"run; token=password={CANARY} go"], ["sh", "-c", f"run; token={R} go"]),
        (["sh", "-c", f"run; TOKEN='{CANARY} {CANARY}' go"], ["sh", "-c", f"run; TOKEN={R} go"]),
        (["sh", "-c", f"curl -H 'X-Auth: Bearer {CANARY}' u"], ["sh", "-c", f"curl -H 'X-Auth: {R}"]),
        (
            ["--conf", f'{{"password": "{CANARY}\\"{CANARY}", "n": 2}}'],
            ["--conf", f'{{"password": {R} "n": 2}}'],
        ),
        ([f"postgres://me:{CANARY}@db.host/x"], [f"postgres://{R}@db.host/x"]),
        ([f"https://{CANARY}@github.com/a/b"], [f"https://{R}@github.com/a/b"]),
        ([f"https://h/p?a=1&token={CANARY}&b=2"], [f"https://h/p?a=1&token={R}&b=2"]),
        ([f"https://h/p?sv=1&sig={CANARY}"], [f"https://h/p?sv=1&sig={R}"]),
        ([f"git+ssh://git:{CANARY}@h/x"], [f"git+ssh://{R}@h/x"]),
    ],
)
def test_a_named_secret_is_taken_out(argv, shown):
    assert redact_command(argv) == shown


@pytest.mark.parametrize(
    "token",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_" + "a1B2" * 9,
        "github_pat_11ABCDEFG0abcdefghij_KLMNOPQRSTUV",
        "glpat-" + "a1B2" * 5,
        "hf_" + "aB3d" * 8,
        "sk-proj-abcdEFGH1234ijklMNOP",
        "xoxb-123456789012-abcdefGHIJ",
        "AIza" + "a" * 35,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.s5_-x",
        "Bearer abcdef123456",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_a_known_token_is_taken_out_wherever_it_stands(token):
    assert redact_text(token) == R
    assert redact_command(["--note", f"see {token}", f"x={token}"]) == ["--note", f"see {R}", f"x={R}"]


@pytest.mark.parametrize(
    "argv",
    [
        ["python", "train.py", "--alpha", "0.1", "--max-tokens=512", "--tokenizer", "bert", "--author", "me"],
        ["sklearn.linear_model.Ridge", "sk-learn-pipeline-of-the-week", "risk-1234567890123456789012"],
        [
            "https://auth.example.com:8443/x@y",
            "ssh://git@github.com/a/b",
            "git+ssh://git@h/x",
            "models:/boston/3",
        ],
        ["a=1", "features=['token']", "housing@3", "--where", "metrics.rmse < 5 and tags.team = 'a'"],
    ],
)
def test_what_is_no_secret_stays(argv):
    assert redact_command(argv) == argv


def test_names_are_read_as_words():
    assert all(map(says_secret, ["HF_TOKEN", "--api-key", "apiKey", "aws_secret_access_key", "oauth", "X-Auth"]))
    assert not any(map(says_secret, ["tokens", "tokenizer", "author", "key", "path", "--pass", ""]))


@given(st.lists(st.text(alphabet="-=:'\" \n\\a.@/&?_token{}", max_size=30), max_size=6))
@settings(max_examples=50, deadline=None)
@example(["--token", ""])
def test_no_command_breaks_it_and_its_length_stays(argv):
    assert len(redact_command(argv)) == len(argv)


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "-",
        "--a",
        "://",
        "://a:",
        "sk-",
        "eyJ",
        "eyJaaaaa.",
        "Bearer ",
        "token ",
        "token=",
        "a='",
        '"\\',
        "=:",
        " ",
        "-a ",
        "-----BEGIN ",
        "&sig",
        "ghp_",
        "token\\",
        "-token '",
        "A",
    ],
)
def test_the_time_is_linear(unit):
    text = unit * (200_000 // len(unit))
    began = time.perf_counter()
    redact_command([text, "--" + text, "token=" + text])
    assert time.perf_counter() - began < 2
