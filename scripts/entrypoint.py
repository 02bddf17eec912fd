#!/usr/bin/python3 -I
"""The first program of every image: looks at the machine, chooses the environment, and becomes what was asked for.

It loads nothing but the standard library, so that a CPU below the image's floor gets a sentence instead of SIGILL. It
writes no files and needs no network, no HOME and no known user.

Exit codes, when they are this program's own:
    0    the page or the help was printed
    2    the words, or the value of an ARMWRIGHT_ variable, are wrong
    70   image.json is missing or damaged (EX_SOFTWARE)
    78   this CPU is below the image's floor (EX_CONFIG)
    126  the command was found but cannot be executed, as shells say it
    127  the command was not found, as shells say it
"""

from __future__ import annotations

import json
import os
import signal
import sys
import textwrap
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    NamedTuple,
    NoReturn,
    TypedDict,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # isolated mode leaves the script's own folder out
sys.dont_write_bytecode = True  # isolated mode does not hear PYTHONDONTWRITEBYTECODE

import machine as hardware  # noqa: E402  (found through the line above)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Execute = Callable[[str, list[str], dict[str, str]], object]

WRONG_WORDS, DAMAGED, BELOW_FLOOR, NOT_EXECUTABLE, NOT_FOUND = 2, 70, 78, 126, 127
SCHEMA = 1
WIDTH = 100
PYTHON = "/usr/bin/python3"
FEATURES_THAT_MATTER = ("asimd", "atomics", "fphp", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2")
PROVIDERS = {"wheel": "its published wheel", "distro": "the distribution's package", "source": "its source"}

USES = (
    ("docker run IMAGE", "what is inside, what was found, what was chosen; `info --json` for programs"),
    ("docker run IMAGE smoke", "prove the image on this machine"),
    ("docker run -it IMAGE python3", "a Python prompt"),
    ('docker run -v "$PWD:/work" -w /work IMAGE python3 app.py', "your own script"),
    ("docker run IMAGE exec info", "a program whose name is one of the words above"),
)
SWITCHES = (
    ("-e ARMWRIGHT_EXPLAIN=1", "say each choice, on standard error, before the command starts"),
    ("-e ARMWRIGHT_QUIET=1", "say nothing before the command starts, except errors"),
    ("-e ARMWRIGHT_BF16=1", "allow bfloat16 arithmetic where the CPU has it: faster, and other last digits"),
    ("-e NAME=VALUE", "any variable that is set, even to nothing, is left alone"),
)


class Target(TypedDict):
    """The CPU the image is for."""

    name: str
    title: str
    floor: list[str]
    parts: list[str]


class Backend(TypedDict):
    """The library that does the arithmetic."""

    name: str
    title: str
    versions: dict[str, str]


class Fallback(TypedDict):
    """An image that asks less of the CPU."""

    target: str
    floor: list[str]
    image: str


class Variable(TypedDict):
    """One environment variable the image wants; `{cpus}` in its value is the number of usable CPUs."""

    name: str
    value: str
    reason: str


class FastMath(TypedDict):
    """The variable that allows reduced precision, and the CPU feature without which it is of no use."""

    name: str
    value: str
    feature: str
    reason: str


class Image(TypedDict):
    """The part of image.json that is read here."""

    schema: int
    combo: str
    title: str
    module: str
    version: str
    target: Target
    backend: Backend
    python: str
    base: str
    provider: str
    fallbacks: list[Fallback]
    environment: list[Variable]
    fast_math: FastMath | None
    packages: dict[str, str]


class Choice(NamedTuple):
    """What became of one environment variable: origin is "set", "kept" or "not set"."""

    name: str
    value: str | None
    origin: str
    reason: str

    @property
    def label(self) -> str:
        """The variable as a shell would write it."""
        return self.name if self.value is None else f"{self.name}={_printable(self.value)}"


class Choices(NamedTuple):
    """All variables, and what the user should hear even without asking."""

    variables: list[Choice]
    notes: list[str]


class StopError(Exception):
    """Ends the program with one sentence and an exit code."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.code = code


def main(
    words: Sequence[str],
    environ: Mapping[str, str],
    root: Path = hardware.ROOT,
    execute: Execute | None = None,
    image_file: Path = HERE / "image.json",
) -> int:
    """Do what the words of `docker run` ask.

    Args:
        words: what follows the image's name.
        environ: the environment as the user gave it.
        root: the file tree to read the machine from.
        execute: becomes the command; returns only in tests.
        image_file: what this image is.

    Returns:
        The exit code, when the process has not become another program.
    """
    try:
        return _answer(list(words), environ, root, image_file, execute or _replace_process)
    except StopError as stop:
        print(f"armwright: {stop}", file=sys.stderr)
        return stop.code


def read_image(file: Path) -> Image:
    """Read image.json, and trust nothing in it that has not the declared shape."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise StopError(f"{file} cannot be read ({error.strerror}); the image is incomplete.", DAMAGED) from None
    except ValueError:
        raise StopError(f"{file} is not JSON; the image is damaged.", DAMAGED) from None
    fault = next(_faults(document, Image), None)
    if fault is None and document["schema"] != SCHEMA:
        fault = "schema"
    if fault is not None:
        raise StopError(f"{file} has no usable value for '{fault}'; the image is damaged.", DAMAGED)
    return cast("Image", document)


def refusal(image: Image, machine: hardware.Machine) -> str:
    """Say why this machine cannot run this image, and what runs instead; empty when it can."""
    title, features = image["target"]["title"], machine.processor.features
    if machine.architecture != hardware.ARCHITECTURE:
        needs, lacking = f"an {hardware.ARCHITECTURE} machine", f"this one is not ({machine.architecture})"
        return f"This image is for {title} and needs {needs}, which {lacking}."
    missing = [hardware.describe_feature(name) for name in image["target"]["floor"] if name not in features]
    if not missing:
        return ""
    fitting = (other["image"] for other in image["fallbacks"] if features.issuperset(other["floor"]))
    lacking = f"{_listed(missing)}, which this CPU ({machine.processor.name}) does not have"
    return f"This image is for {title} and needs {lacking}; {next(fitting, 'no image it knows of')} runs here."


def choose(image: Image, machine: hardware.Machine, environ: Mapping[str, str]) -> Choices:
    """Decide on every variable; what the user has set, even to nothing, is kept."""
    choices = Choices([], [])
    for variable in image["environment"]:
        value = variable["value"].replace("{cpus}", str(machine.cpus.number))
        why = f" ({machine.cpus.reason})" if value != variable["value"] else ""
        choices.variables.append(_settle(variable["name"], value, variable["reason"] + why, environ))

    asked = _switch(environ, "ARMWRIGHT_BF16")
    fast = image["fast_math"]
    if fast is None:
        if asked:
            choices.notes.append("ARMWRIGHT_BF16=1 changes nothing: this image has no bf16 fast math.")
    elif fast["name"] in environ or (asked and fast["feature"] in machine.processor.features):
        choices.variables.append(_settle(fast["name"], fast["value"], fast["reason"], environ))
    elif asked:
        choices.variables.append(Choice(fast["name"], None, "not set", f"this CPU has no {fast['feature']}"))
        choices.notes.append(f"ARMWRIGHT_BF16=1 changes nothing: this CPU has no {fast['feature']}.")
    else:
        choices.variables.append(
            Choice(fast["name"], None, "not set", "it changes results; ARMWRIGHT_BF16=1 asks for it")
        )
    return choices


def _answer(words: list[str], environ: Mapping[str, str], root: Path, image_file: Path, execute: Execute) -> int:
    match words:
        case [] | ["info"]:
            return _info(environ, root, image_file, as_json=False)
        case ["info", "--json"]:
            return _info(environ, root, image_file, as_json=True)
        case ["info", *_]:
            raise StopError("info takes no word but --json; to run a program of that name: exec info", WRONG_WORDS)
        case ["exec", "--", *command] | ["exec" | "--", *command]:
            return _become(command, environ, root, image_file, execute)
        case [option, *_] if option.startswith("-"):
            asked = option in {"-h", "--help"}
            print(_help(), file=sys.stdout if asked else sys.stderr)
            return 0 if asked else WRONG_WORDS
        case ["smoke", *options]:
            smoke = [PYTHON, "-I", str(HERE / "smoke" / "smoke.py"), *options]
            return _become(smoke, environ, root, image_file, execute)
        case _:
            return _become(words, environ, root, image_file, execute)


def _settle(name: str, value: str, reason: str, environ: Mapping[str, str]) -> Choice:
    if name in environ:
        return Choice(name, environ[name], "kept", "it was already in the environment")
    return Choice(name, value, "set", reason)


def _switch(environ: Mapping[str, str], name: str) -> bool:
    value = environ.get(name, "")
    if value not in {"", "0", "1"}:
        raise StopError(f"{name} must be 0 or 1, not {_printable(value)}.", WRONG_WORDS)
    return value == "1"


def _become(command: list[str], environ: Mapping[str, str], root: Path, image_file: Path, execute: Execute) -> int:
    if not command:
        raise StopError("there is no command to run after exec.", WRONG_WORDS)
    image, machine = read_image(image_file), hardware.read_machine(environ, root)
    if sentence := refusal(image, machine):
        raise StopError(sentence, BELOW_FLOOR)
    choices = choose(image, machine, environ)
    quiet, explain = _switch(environ, "ARMWRIGHT_QUIET"), _switch(environ, "ARMWRIGHT_EXPLAIN")
    explained = [f"{choice.label}: {choice.origin}, {choice.reason}" for choice in choices.variables if explain]
    for line in [] if quiet else [*choices.notes, *explained]:
        print(f"armwright: {line}", file=sys.stderr, flush=True)
    chosen = {choice.name: choice.value for choice in choices.variables if choice.value is not None}
    try:
        execute(command[0], command, {**environ, **chosen})
    except (FileNotFoundError, NotADirectoryError):
        raise StopError(f"{_printable(command[0])}: command not found", NOT_FOUND) from None
    except OSError as error:
        raise StopError(f"{_printable(command[0])}: cannot execute: {error.strerror}", NOT_EXECUTABLE) from None
    return 0


def _replace_process(file: str, arguments: list[str], environ: dict[str, str]) -> NoReturn:
    for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):  # other programs expect to be ended by them
        signal.signal(ignored_by_python, signal.SIG_DFL)
    os.execvpe(file, arguments, environ)  # noqa: S606  (to run what the user asked for is the purpose)


def _info(environ: Mapping[str, str], root: Path, image_file: Path, *, as_json: bool) -> int:
    image, machine = read_image(image_file), hardware.read_machine(environ, root)
    sentence, choices = refusal(image, machine), choose(image, machine, environ)
    print(_document(image, machine, choices, sentence) if as_json else _page(image, machine, choices, sentence))
    return BELOW_FLOOR if sentence else 0


def _document(image: Image, machine: hardware.Machine, choices: Choices, sentence: str) -> str:
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


def _page(image: Image, machine: hardware.Machine, choices: Choices, sentence: str) -> str:
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
        f"{image['title']} {image['version']} for {target['title']}",
        _section("Inside", inside),
        _section("This machine", _machine_rows(target, machine)),
        _section(
            "Chosen", [*chosen, *(("note", note) for note in choices.notes)] or [("nothing", "no variable to set")]
        ),
        _section("How to go on", [*USES[1:4], ("docker run IMAGE --help", "all words and switches")]),
    ]
    return "\n\n".join(parts)


def _machine_rows(target: Target, machine: hardware.Machine) -> list[tuple[str, str]]:
    processor, emulation = machine.processor, machine.emulation
    played = f"emulated by {emulation.name}" + (f" as {_printable(emulation.model)}" if emulation.model else "")
    nature = {True: played, False: "not emulated", None: "real or emulated: cannot tell"}[emulation.emulated]
    present = [name for name in FEATURES_THAT_MATTER if name in processor.features]
    absent = [name for name in FEATURES_THAT_MATTER if name not in processor.features]
    vectors = "NEON, 16 bytes"
    if "sve" in processor.features:
        vectors = f"SVE, {machine.vector_bytes or 'an unknown number of'} bytes"
    rows = [
        ("cpu", f"{processor.name} ({', '.join(processor.parts) or machine.architecture}), {nature}"),
        ("features", f"{' '.join(present) or 'none'}; without {' '.join(absent) or 'exception'}"),
        ("vectors", vectors),
        ("cpus", f"{machine.cpus.number}: {machine.cpus.reason}"),
    ]
    if target["parts"] and not set(processor.parts) <= set(target["parts"]):
        rows.insert(1, ("", f"not the CPU this image is tuned for ({target['title']})"))
    return rows


def _help() -> str:
    return f"{_section('Words', USES)}\n\n{_section('Switches, before IMAGE', SWITCHES)}"


def _section(title: str, rows: Sequence[tuple[str, str]]) -> str:
    width = max(len(label) for label, _ in rows) + 4
    lines = [title]
    for label, text in rows:
        first, others = f"  {label}".ljust(width), " " * width
        lines += textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=others, max_lines=3)
    return "\n".join(lines)


def _listed(items: list[str]) -> str:
    return " and ".join([", ".join(items[:-1]), items[-1]] if items[1:] else items)


def _printable(text: str) -> str:
    """Show a value of the user's on any terminal, in one line."""
    return text if text.isascii() and text.isprintable() else ascii(text)


def _faults(value: object, kind: object, where: str = "") -> Iterator[str]:
    """Yield the path of everything in a JSON value that is not of the declared kind."""
    arguments = get_args(kind)
    if is_typeddict(kind):
        fields = value if isinstance(value, dict) else {}
        for name, inner in get_type_hints(kind).items():
            yield from _faults(fields.get(name), inner, f"{where}.{name}".lstrip("."))
    elif type(None) in arguments:
        if value is not None:
            yield from _faults(value, arguments[0], where)
    elif get_origin(kind) is list and isinstance(value, list):
        for position, item in enumerate(value):
            yield from _faults(item, arguments[0], f"{where}[{position}]")
    elif get_origin(kind) is dict and isinstance(value, dict):
        for name, item in value.items():
            yield from _faults(item, arguments[1], f"{where}.{name}")
    elif not isinstance(value, get_origin(kind) or cast("type", kind)):
        yield where


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
