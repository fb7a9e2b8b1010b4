from inline_snapshot import snapshot


def test_writes_a_folder(lin, built):
    result = lin("export", "boston@1", "out")
    head, *rows, told = result.text.splitlines()
    assert (result.code, head.split(), told, result.err) == snapshot(
        (0, ["file", "size", "sha256"], "boston@1 in out: 8 files written", "")
    )
    assert [row.split()[0] for row in rows] == sorted(path.name for path in (built / "out").iterdir())
    again = lin("export", "boston@1", "out").text.splitlines()[-1]
    assert again == snapshot("boston@1 in out: 8 files there already")


def test_says_what_is_unsafe(lin):
    result = lin("export", "boston@production", "out.zip", "--pickle", "--json")
    assert (result.code, result.err) == snapshot(
        (0, "warning: unsafe: the model in out.zip is a pickle, which runs code when it is loaded\n")
    )
    found = result.json()
    assert (found["unsafe"], found["version"], found["place"]) == (True, "boston@1", "out.zip")
    refused = lin("export", "boston@2", "out.zip")
    assert (refused.code, refused.out, refused.err) == snapshot(
        (11, "", "error: 'out.zip' is there, and something else (hint: another name, or --force replaces it)\n")
    )
