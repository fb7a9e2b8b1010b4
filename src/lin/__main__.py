"""`python -m lin` is `lin`: no module of the working folder stands in for one that lin needs.

An interrupt while that is being imported ends it as quietly as any later one.
"""

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
    if not sys.flags.safe_path:
        del sys.path[0]  # the working folder, which whoever made the project has filled
    main()
