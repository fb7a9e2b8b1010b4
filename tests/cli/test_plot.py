from pathlib import Path

from inline_snapshot import snapshot


def test_draws_a_version_into_the_folder(lin, built: Path):
    result = lin("plot", "housing@0", "--target", "medv")
    assert result.text == snapshot("""\
housing@0.png: 000.0 kB, housing@0, 506 rows
strongest with medv: lstat -0.703 (pearson), rm 0.599 (pearson), crim -0.179 (pearson)
""")
    assert (result.code, result.err) == (0, "")
    assert (built / "housing@0.png").read_bytes().startswith(b"\x89PNG")


def test_draws_a_page(lin, built: Path):
    result = lin("plot", "housing", "--output", "look.html", "--columns", "rm, lstat")
    assert result.text == snapshot("""\
look.html: 00.0 kB, housing@1, 506 rows
""")
    page = (built / "look.html").read_text()
    assert ("<bdi>rm</bdi>" in page, "<bdi>crim</bdi>" in page) == (True, False)


def test_json_has_the_numbers(lin):
    drawn = lin("plot", "housing@0", "--target", "medv", "--sample", 100, "--json").json()
    profile = drawn["profile"]
    assert (drawn["path"], profile["rows"], profile["sampled"]) == ("housing@0.png", 506, 100)
    assert profile["target"] == {"column": "medv", "missing": 173, "classes": None}
    medv = profile["columns"][-1]
    assert (medv["name"], medv["nulls"], medv["distinct_exact"], medv["min"]) == ("medv", 173, False, 6.8)
    assert {a["column"]: a["measure"] for a in profile["associations"]} == dict.fromkeys(
        ["crim", "rm", "lstat"], "pearson"
    )


def test_draws_what_the_table_was_at_a_time(lin):
    written = lin("history", "housing", "--json").json()[0]["time"]
    result = lin("plot", "housing", "--as-of", written)
    assert result.out.startswith("housing@0.png: ")
    assert "is version 0 (written " in result.err


def test_mistakes(lin, built: Path):
    for words, code, says in (
        ("housing --target mdev", 2, "no column 'mdev' (hint: did you mean 'medv'?)"),
        ("housing --columns rm,x", 2, "no column 'x'"),
        ("housing --output a.pdf", 2, "'a.pdf' is neither a .png nor a .html (hint: --output housing.html)"),
        ("housing --sample 0", 2, "invalid value for '--sample'"),
        ("housing@0 --as-of now", 2, "'housing@0' is a version already (hint: housing --as-of TIME, or housing@0)"),
        ("housing@9", 10, "no version 9"),
        ("nothing", 10, "nothing"),
    ):
        result = lin("plot", *words.split())
        assert (result.code, result.out) == (code, "")
        assert says in result.err
    assert not list(built.glob("*.png"))
