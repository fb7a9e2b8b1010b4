"""`python -m lin` is `lin`. An interrupt while that is being imported ends it as quietly as any later one."""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run `lin` with the arguments of this process."""
    try:
        from lin.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
