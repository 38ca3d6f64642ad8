"""`python -m autoresearch` is the command line too."""

from autoresearch.cli import main

if __name__ == "__main__":
    main()
