"""The command `netdsl`, also `python -m netdsl`."""

import atexit
import gc
import sys


def main() -> int:
    """Run the command; return its exit status, also where it is interrupted while it starts."""
    gc.set_threshold(2_000_000, 50, 100)  # nearly all that is made lives until the end
    atexit.register(gc.freeze)  # where the interpreter would look through it once more
    try:
        from netdsl.cli import main as run

        return run()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
