"""Makes `docs/cli.md` from the commands themselves and from the exit codes; compares, or with `--write` writes.

python docs/generate.py            exits with 1 if the page is not what the code says
python docs/generate.py --write    writes it
"""

import os
import subprocess
import sys
from pathlib import Path

from lin.cli.main import COMMANDS
from lin.errors import ExitCode

PAGE = Path(__file__).with_name("cli.md")
SUBCOMMANDS = {"log": ["param", "metric", "tag", "artifact"]}


def main() -> int:
    page = make_page()
    if "--write" in sys.argv:
        PAGE.write_text(page)
        return 0
    if PAGE.exists() and PAGE.read_text() == page:
        return 0
    print("docs/cli.md is not what the code says: make docs WRITE=--write", file=sys.stderr)
    return 1


def make_page() -> str:
    lines = [
        "# The commands",
        "",
        "Made from the code by `make docs WRITE=--write`. What each is for, with examples: [guide.md](guide.md).",
        "",
        "## Exit codes",
        "",
        "| code | meaning |",
        "| --- | --- |",
        *(f"| {code.value} | {code.meaning} |" for code in ExitCode),
        "",
        "`lin run -- CMD` passes the program's own exit code through; a program ended by signal n has 128 + n.",
        "",
    ]
    for name in COMMANDS:
        lines += section([name])
        for subcommand in SUBCOMMANDS.get(name, []):
            lines += section([name, subcommand])
    return "\n".join(lines).rstrip("\n") + "\n"


def section(words: list[str]) -> list[str]:
    environment = {**os.environ, "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "lin", *words, "--help"]
    text = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    body = "\n".join(part.rstrip() for part in text.strip("\n").splitlines())
    return [f"## lin {' '.join(words)}", "", "```text", body, "```", ""]


if __name__ == "__main__":
    sys.exit(main())
