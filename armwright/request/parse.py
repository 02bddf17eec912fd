"""Parses a submission into a request that holds only names from closed sets, and a version that matches its pattern.

A pasted CPU becomes a target. The free text for people is not read. A value that is not allowed is reported with its
place and the nearest allowed value, without repeating it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from packaging.version import InvalidVersion, Version
from pydantic import TypeAdapter, ValidationError

from armwright.matrix.matrix import Matrix
from armwright.matrix.rules import NAME_KEY, version_key
from armwright.recipes import patterns
from armwright.recipes.patterns import Dtype
from armwright.request import cpu, cpu_names
from armwright.request.characters import describe_character
from armwright.request.cpu import SubmittedCpu
from armwright.request.fields import UNSURE, Field, FieldKind
from armwright.request.submission import FieldValue, FieldValues, MalformedError
from armwright.system.errors import nearest

_EMPTY = ("", "_No response_", "None")  # how GitHub writes an empty field
_RELEASE = re.compile(r"[0-9.]+")
_VERSION: TypeAdapter[str] = TypeAdapter(patterns.VersionName)


@dataclass(frozen=True)
class Request:
    """A request for an image.

    Attributes:
        framework: the framework's name.
        version: a published version, or one that a recipe could have; empty for the newest.
        target: the target's name; empty if the CPU decides.
        backend: the backend's name; empty for any.
        dtypes: the requested data types; empty for all.
        cpu: the submitted CPU; without a target it is given, and has a target.
    """

    framework: str
    version: str = ""
    target: str = ""
    backend: str = ""
    dtypes: tuple[Dtype, ...] = ()
    cpu: SubmittedCpu | None = None


def parse_request(matrix: Matrix, form: Sequence[Field], values: FieldValues) -> Request:
    """Parse the texts of the fields.

    Raises:
        MalformedError: with every field whose value is not allowed.
    """
    reader = _RequestReader(matrix, values)
    kinds: Mapping[FieldKind, Field] = {field.kind: field for field in form if field.kind is not FieldKind.CHOICE}
    choices = {field.key: reader.choice(field) for field in form if field.kind is FieldKind.CHOICE}
    version = reader.version(kinds[FieldKind.VERSION], choices["framework"])
    dtypes = cast("tuple[Dtype, ...]", reader.choices(kinds[FieldKind.CHOICES]))
    submitted = reader.cpu(kinds[FieldKind.CPU], choices["target"])
    if reader.mistakes:
        raise MalformedError(*reader.mistakes)
    names = {key: "" if choice == UNSURE else choice for key, choice in choices.items()}
    return Request(version=version, dtypes=dtypes, cpu=submitted, **names)


@dataclass
class _RequestReader:
    """Reads the values of fields, and collects the mistakes in them."""

    matrix: Matrix
    values: FieldValues
    mistakes: list[str] = field(default_factory=list)

    def choice(self, field: Field) -> str:
        """Read one value of a closed set; empty if it is not allowed."""
        text, place = self._value(field)
        if text:
            return self._allowed(field, text, place)
        if UNSURE not in field.choices:
            self.mistakes.append(f"{place}: missing; allowed: {', '.join(field.choices)}")
            return ""
        return UNSURE

    def choices(self, field: Field) -> tuple[str, ...]:
        """Read several values of a closed set, separated by commas."""
        text, place = self._value(field)
        texts = [item.strip() for item in text.split(",")] if text else []
        return tuple(dict.fromkeys(self._allowed(field, item, place) for item in texts))

    def version(self, field: Field, framework: str) -> str:
        """Read a version: a published one in any spelling, or one that a recipe could have."""
        text, place = self._value(field)
        published = self.matrix.versions(framework) if framework else []
        if not published or not text or not self._printable(text, place, published):
            return ""
        if text in published:
            return text
        same = {version_key(version): version for version in published if version_key(version) > NAME_KEY}
        try:
            version = Version(_VERSION.validate_python(text))
        except (ValidationError, InvalidVersion):
            version = None
        # For PEP 440, `2.10.0-c` is 2.10.0rc0 and `2.10.0-r` is 2.10.0.post0: only numbers have several spellings here
        if version is None or (str(version) != text and not _RELEASE.fullmatch(text)):
            self.mistakes.append(f"{place}: not a version: {nearest(text, published)}")
            return ""
        return same.get(version) or str(version)

    def cpu(self, field: Field, target: str) -> SubmittedCpu | None:
        """Read a pasted CPU. If no target is selected, it must be enough to choose one."""
        text, place = self._value(field)
        submitted = cpu.parse_cpu(text, self.matrix, cpu_names.load_cpu_names(self.matrix.root)) if text else None
        if target == UNSURE and submitted is None:
            self.mistakes.append(f"{place}: missing; it is needed to choose a target. {field.help}")
        elif target == UNSURE and submitted is not None and submitted.target is None:
            self.mistakes.append(f"{place}: {submitted.reason}")
        return submitted

    def _value(self, field: Field) -> FieldValue:
        text, place = self.values.get(field.key, FieldValue("", f"'{field.heading}'"))
        text = text.strip(" \t\n")
        if len(text) > field.limit:
            self.mistakes.append(f"{place}: longer than {field.limit} characters")
            text = ""
        return FieldValue("" if text in _EMPTY else text, place)

    def _allowed(self, field: Field, text: str, place: str) -> str:
        if not self._printable(text, place, field.choices):
            return ""
        choice = field.find_choice(text)
        if choice is None:
            self.mistakes.append(f"{place}: not an allowed value: {nearest(text, field.choices)}")
        return choice or ""

    def _printable(self, text: str, place: str, allowed: Sequence[str]) -> bool:
        """Say whether a text is printable ASCII; report the first other character, and the nearest allowed value."""
        odd = next((character for character in text if not " " <= character <= "~"), None)
        if odd is None:
            return True
        meant = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
        self.mistakes.append(f"{place}: contains {describe_character(odd)}: {nearest(meant, allowed)}")
        return False
