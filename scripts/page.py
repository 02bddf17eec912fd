"""The output of `info` as text and as JSON, and the help."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from fnmatch import fnmatchcase

import machine as hardware
from choices import Choices, printable
from image import SCHEMA, Image, Target

WIDTH = 100
FEATURES_THAT_MATTER = ("asimd", "atomics", "fphp", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2")
PROVIDERS = {"wheel": "its published wheel", "distro": "the distribution's package", "source": "its source"}

USES = (
    ("docker run IMAGE", "show the contents, this machine and the chosen settings; `info --json` for programs"),
    ("docker run IMAGE smoke", "check the image on this machine"),
    ("docker run -it IMAGE python3", "start Python"),
    ('docker run -v "$PWD:/work" -w /work IMAGE python3 app.py', "run your own script"),
    ("docker run IMAGE exec info", "run a program whose name is a command above"),
)
SWITCHES = (
    ("-e ARMWRIGHT_EXPLAIN=1", "print each chosen setting on standard error before the command starts"),
    ("-e ARMWRIGHT_QUIET=1", "print only errors before the command starts"),
    ("-e ARMWRIGHT_INIT=0", "become the command, as process 1, instead of passing signals on to it"),
    ("-e ARMWRIGHT_BF16=1", "allow bfloat16 arithmetic where the CPU has it: faster, with less precision"),
    ("-e NAME=VALUE", "override any variable; a variable that you set, even to an empty value, is kept"),
)


def page(image: Image, machine: hardware.Machine, choices: Choices, sentence: str) -> str:
    """Return the page of `info`, which fits on one screen."""
    target, backend, packages = image["target"], image["backend"], image["packages"]
    versions = ", ".join(f"{name} {version}" for name, version in backend["versions"].items())
    origin = PROVIDERS.get(image["provider"], image["provider"])
    inside = [
        ("combo", image["combo"]),
        ("backend", f"{backend['title']} ({versions})" if versions else backend["title"]),
        ("python", f"{image['python']} on {image['base']}; {image['module']} from {origin}"),
        ("packages", ", ".join(f"{name} {version}" for name, version in packages.items()) or "none"),
    ]
    chosen = [(choice.label, f"{choice.origin}: {choice.reason}") for choice in choices.variables]
    parts = [
        *([sentence] if sentence else []),
        f"{image['title']} for {target['title']}",
        _section("Inside", inside),
        _section("This machine", _machine_rows(target, machine)),
        _section(
            "Chosen",
            [*chosen, *(("note", note) for note in choices.notes)] or [("nothing", "this image sets no variable")],
        ),
        _section("Data types", [(dtype["name"], f"{dtype['state']}: {dtype['note']}") for dtype in image["dtypes"]]),
        _section("Next", [*USES[1:4], ("docker run IMAGE --help", "list all commands and switches")]),
    ]
    return "\n\n".join(parts)


def document(image: Image, machine: hardware.Machine, choices: Choices, sentence: str) -> str:
    """Return the content of the page as one JSON document."""
    document = {
        "schema": SCHEMA,
        "refusal": sentence or None,
        "image": image,
        "machine": {
            "architecture": machine.architecture,
            "cpu": machine.processor.name,
            "parts": machine.processor.parts,
            "features": sorted(machine.processor.features),
            "vector_bytes": machine.vector_bytes,
            "cpus": machine.cpus._asdict(),
            "emulation": machine.emulation._asdict(),
        },
        "choices": [choice._asdict() for choice in choices.variables],
        "notes": choices.notes,
    }
    return json.dumps(document, indent=2)


def usage() -> str:
    """Return the help: all commands and switches."""
    return f"{_section('Commands', USES)}\n\n{_section('Switches, before IMAGE', SWITCHES)}"


def _machine_rows(target: Target, machine: hardware.Machine) -> list[tuple[str, str]]:
    processor, emulation = machine.processor, machine.emulation
    emulator = f"emulated by {emulation.name}" + (f" as {printable(emulation.model)}" if emulation.model else "")
    nature = {True: emulator, False: "not emulated", None: "may be emulated"}[emulation.emulated]
    present = [name for name in FEATURES_THAT_MATTER if name in processor.features]
    absent = [name for name in FEATURES_THAT_MATTER if name not in processor.features]
    vectors = "NEON, 16 bytes"
    if "sve" in processor.features:
        vectors = f"SVE, {machine.vector_bytes or 'an unknown number of'} bytes"
    rows = [
        ("cpu", f"{processor.name} ({', '.join(processor.parts) or machine.architecture}), {nature}"),
        ("features", f"{' '.join(present) or 'none'}; missing: {' '.join(absent) or 'none'}"),
        ("vectors", vectors),
        ("cpus", f"{machine.cpus.number}: {machine.cpus.reason}"),
    ]
    if not all(any(fnmatchcase(part, pattern) for pattern in target["parts"]) for part in processor.parts):
        rows.insert(1, ("", f"not the CPU this image is tuned for ({target['title']})"))
    return rows


def _section(title: str, rows: Sequence[tuple[str, str]]) -> str:
    width = max(len(label) for label, _ in rows) + 4
    lines = [title]
    for label, text in rows:
        first, others = f"  {label}".ljust(width), " " * width
        lines += textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=others, max_lines=3)
    return "\n".join(lines)
