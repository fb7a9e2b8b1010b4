"""Start-up of `lin` beside a bare Typer program of the same version, as whole processes, in one run.

    python bench/startup.py [ROUNDS]

Each round runs every command once, in turn, so that a busy machine slows all alike; the best of each is compared.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

BARE = '''
import typer
app = typer.Typer()

@app.command()
def one(name: str = "x") -> None:
    """Do one thing."""

@app.command()
def two(name: str = "x", *, loud: bool = False) -> None:
    """Do another thing."""

if __name__ == "__main__":
    app()
'''
LIMIT = 1.3


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    lin = str(Path(sys.executable).with_name("lin"))
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder, "bare.py")
        bare.write_text(BARE)
        subprocess.run([lin, "init"], cwd=folder, check=True, capture_output=True)
        commands = {
            "bare --help": [sys.executable, str(bare), "--help"],
            "bare one": [sys.executable, str(bare), "one"],
            "lin --help": [lin, "--help"],
            "lin --version": [lin, "--version"],
            "lin models": [lin, "models", "--json"],
            "lin runs": [lin, "runs", "--json"],
        }
        best = dict.fromkeys(commands, float("inf"))
        for _ in range(rounds):
            for name, command in commands.items():
                started = time.perf_counter()
                subprocess.run(command, cwd=folder, check=True, capture_output=True)
                best[name] = min(best[name], time.perf_counter() - started)
    peers = dict.fromkeys(("lin --help", "lin --version"), "bare --help")
    peers |= dict.fromkeys(("lin models", "lin runs"), "bare one")
    print(f"{'command':16}{'ms':>8}{'ratio':>8}  beside")
    for name, seconds in best.items():
        peer = peers.get(name)
        ratio = f"{seconds / best[peer]:8.2f}  {peer}" if peer else ""
        print(f"{name:16}{seconds * 1000:8.0f}{ratio}")
    worst = max(best[name] / best["bare --help"] for name in ("lin --help", "lin --version"))
    print(f"limit for --help and --version: {LIMIT}; worst: {worst:.2f}")
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
