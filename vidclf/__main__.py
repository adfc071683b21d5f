"""`python -m vidclf` is the same program as `vidclf`."""

from vidclf.cli.main import main

if __name__ == "__main__":
    main()
