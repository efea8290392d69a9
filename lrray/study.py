"""Entry of ``python -m lrray.study``: the study command alone."""

from lrray.cli.study import main

if __name__ == "__main__":
    main()
