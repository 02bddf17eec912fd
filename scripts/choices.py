"""What is decided for a machine: whether the image may run on it, and the environment it runs with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import machine as hardware
from image import Image, Variable


class Choice(NamedTuple):
    """What became of one environment variable: origin is "set", "kept" or "not set"."""

    name: str
    value: str | None
    origin: str
    reason: str

    @property
    def label(self) -> str:
        """The variable as a shell would write it."""
        return self.name if self.value is None else f"{self.name}={printable(self.value)}"


class Choices(NamedTuple):
    """All variables, and what the user should hear even without asking."""

    variables: list[Choice]
    notes: list[str]


class BadSwitchError(Exception):
    """An ARMWRIGHT_ variable has a value that means nothing; the text is a sentence."""


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
    if machine.emulation.emulated and not machine.emulation.model:
        choices.notes.append(
            f"{machine.emulation.name} plays its default CPU, on which some results are wrong (OpenBLAS takes its SME "
            f"kernels); -e QEMU_CPU={image['target']['emulator']} plays the one that this image was proven on."
        )
    for variable in image["environment"]:
        value, why = _filled(variable, machine.cpus)
        if variable["fixed"] and environ.get(variable["name"]) == value:  # the image's own ENV, not the user's
            choices.variables.append(Choice(variable["name"], value, "set", variable["reason"]))
            continue
        choices.variables.append(_settle(variable["name"], value, variable["reason"] + why, environ))

    asked = switch(environ, "ARMWRIGHT_BF16")
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


def _filled(variable: Variable, cpus: hardware.Cpus) -> tuple[str, str]:
    """Put the number of CPUs into a value, and say in brackets why it is this one."""
    number, why, most = cpus.number, cpus.reason, variable.get("most")
    if most is not None and most < number:
        number, why = most, f"{most} at most; {why}"
    value = variable["value"].replace("{cpus}", str(number))
    return value, f" ({why})" if value != variable["value"] else ""


def _settle(name: str, value: str, reason: str, environ: Mapping[str, str]) -> Choice:
    if name in environ:
        return Choice(name, environ[name], "kept", "it was already in the environment")
    return Choice(name, value, "set", reason)


def switch(environ: Mapping[str, str], name: str) -> bool:
    """Read a switch: 1 is on; 0, empty and absent are off.

    Raises:
        BadSwitchError: it is something else.
    """
    value = environ.get(name, "")
    if value not in {"", "0", "1"}:
        raise BadSwitchError(f"{name} must be 0 or 1, not {printable(value)}.")
    return value == "1"


def printable(text: str) -> str:
    """Show a value of the user's on any terminal, in one line."""
    return text if text.isascii() and text.isprintable() else ascii(text)


def _listed(items: list[str]) -> str:
    return " and ".join([", ".join(items[:-1]), items[-1]] if items[1:] else items)
