"""The program behind `invoke`; `inv` writes .venv/bin/invoke, which runs it."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the program; ends the process with its exit code, 130 after Ctrl-C."""
    try:
        from armwright.cli.parsing import ArmwrightProgram  # noqa: PLC0415 - Ctrl-C while this is imported counts too

        ArmwrightProgram().run()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")  # the console may not be imported yet
        sys.exit(130)


if __name__ == "__main__":
    main()
