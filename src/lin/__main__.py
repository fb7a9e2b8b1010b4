"""`python -m lin` is `lin`."""

from lin.cli.main import main

if __name__ == "__main__":
    main()
