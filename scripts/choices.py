"""Decides whether the image may run on a machine, and with which environment variables."""

from __future__ import annotations

import machine as hardware
from record import NamedTuple

TYPE_CHECKING = False  # the constant of `typing`, which type checkers take for true
if TYPE_CHECKING:
    from collections.abc import Mapping

    from image import Image, Variable


class Choice(NamedTuple):
    """The decision on one environment variable; its origin is "set", "kept" or "not set"."""

    name: str
    value: str | None
    origin: str
    reason: str

    @property
    def label(self) -> str:
        """The variable in shell syntax, NAME=VALUE."""
        return self.name if self.value is None else f"{self.name}={printable(self.value)}"


class Choices(NamedTuple):
    """The decisions on all variables, and notes that are printed before the command starts."""

    variables: list[Choice]
    notes: list[str]


class BadSwitchError(Exception):
    """An ARMWRIGHT_ variable has an invalid value; the text is a sentence."""


def refusal(image: Image, machine: hardware.Machine) -> str:
    """Return why this machine cannot run this image, and which image runs there; empty if it can."""
    title, features = image["target"]["title"], machine.processor.features
    if machine.architecture != hardware.ARCHITECTURE:
        return (
            f"This image is for {title} and needs an {hardware.ARCHITECTURE} machine; "
            f"this machine is {machine.architecture}."
        )
    missing = [name for name in image["target"]["floor"] if name not in features]
    if not missing:
        return ""
    from naming import describe_feature  # noqa: PLC0415  (only messages need it)

    fitting = (other["image"] for other in image["fallbacks"] if features.issuperset(other["floor"]))
    image_here = next(fitting, None)
    advice = f"{image_here} runs here" if image_here else "none of the images it lists as fallbacks runs here"
    return (
        f"This image is for {title} and needs {_listed([describe_feature(name) for name in missing])}, "
        f"which this CPU ({machine.processor.name}) does not have; {advice}."
    )


def choose(image: Image, machine: hardware.Machine, environ: Mapping[str, str]) -> Choices:
    """Decide on every variable; a variable that the user has set, even to an empty value, is kept."""
    choices = Choices([], [])
    if machine.emulation.emulated and not machine.emulation.model:
        choices.notes.append(
            f"{machine.emulation.name} emulates its default CPU, on which some results are wrong (OpenBLAS chooses its "
            f"SME kernels); -e QEMU_CPU={image['target']['emulator']} emulates the CPU that this image was tested on."
        )
    for variable in image["environment"]:
        value, why = _filled(variable, machine.cpus)
        if variable["fixed"] and environ.get(variable["name"]) == value:  # the image's own ENV, not the user's
            choices.variables.append(Choice(variable["name"], value, "set", variable["reason"]))
            continue
        choices.variables.append(_settle(variable["name"], value, variable["reason"] + why, environ))

    wanted = switch(environ, "ARMWRIGHT_BF16")
    fast = image["fast_math"]
    if fast is None:
        if wanted:
            choices.notes.append("ARMWRIGHT_BF16=1 has no effect: this image has no bf16 fast math.")
    elif fast["name"] in environ or (wanted and fast["feature"] in machine.processor.features):
        choices.variables.append(_settle(fast["name"], fast["value"], fast["reason"], environ))
    elif wanted:
        choices.variables.append(Choice(fast["name"], None, "not set", f"this CPU has no {fast['feature']}"))
        choices.notes.append(f"ARMWRIGHT_BF16=1 has no effect: this CPU has no {fast['feature']}.")
    else:
        choices.variables.append(
            Choice(fast["name"], None, "not set", "it changes results; enable it with ARMWRIGHT_BF16=1")
        )
    return choices


def _filled(variable: Variable, cpus: hardware.Cpus) -> tuple[str, str]:
    """Return a variable's value with the number of CPUs filled in, and in brackets the reason for that number."""
    number, why, most = cpus.number, cpus.reason, variable.get("most")
    if most is not None and most < number:
        number, why = most, f"at most {most}; {why}"
    value = variable["value"].replace("{cpus}", str(number))
    return value, f" ({why})" if value != variable["value"] else ""


def _settle(name: str, value: str, reason: str, environ: Mapping[str, str]) -> Choice:
    if name in environ:
        return Choice(name, environ[name], "kept", "it was already in the environment")
    return Choice(name, value, "set", reason)


def switch(environ: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """Read a switch: 1 is on and 0 is off; empty and unset are the default.

    Raises:
        BadSwitchError: the variable has another value.
    """
    value = environ.get(name, "")
    if value not in {"", "0", "1"}:
        raise BadSwitchError(f"{name} must be 0 or 1, not {printable(value)}.")
    return value == "1" if value else default


def printable(text: str) -> str:
    """Escape a value from the user so that it fits on one line of any terminal."""
    return text if text.isascii() and text.isprintable() else ascii(text)


def _listed(items: list[str]) -> str:
    return " and ".join([", ".join(items[:-1]), items[-1]] if items[1:] else items)
