"""`python -m netdsl` is the command `netdsl`."""

import sys

from netdsl.cli import main

if __name__ == "__main__":
    sys.exit(main())
