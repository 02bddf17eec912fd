"""The program behind `invoke`; `inv` writes .venv/bin/invoke, which runs it."""

from __future__ import annotations

import atexit
import gc
import sys

COLLECTED = 50_000  # new objects between two garbage collections; at Python's 700 they take a quarter of a start's time


def main() -> None:
    """Run the program; ends the process with its exit code, 130 after Ctrl-C."""
    gc.set_threshold(COLLECTED)
    atexit.register(gc.freeze)  # the interpreter's last collections skip what exists: the process ends anyway
    try:
        from armwright.cli.parsing import ArmwrightProgram  # noqa: PLC0415 - Ctrl-C while this is imported counts too

        ArmwrightProgram().run()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")  # the console may not be imported yet
        sys.exit(130)


if __name__ == "__main__":
    main()
