"""The command `netdsl`, also `python -m netdsl`."""

import sys


def main() -> int:
    """Run the command; return its exit status, also where it is interrupted while it starts."""
    try:
        from netdsl.cli import main as run

        return run()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
