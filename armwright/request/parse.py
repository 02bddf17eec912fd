"""A request, made of words of closed sets only, or of a version that matches its pattern as a whole.

A pasted CPU becomes a target, and what people write for people is not read. A value that is refused is told by its
place, with the nearest right one, and never repeated.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from packaging.version import InvalidVersion, Version
from pydantic import TypeAdapter, ValidationError

from armwright.matrix.matrix import Matrix
from armwright.matrix.rules import NAMED, order
from armwright.recipes import patterns
from armwright.recipes.patterns import Dtype
from armwright.request import cpu, cpu_names
from armwright.request.cpu import SubmittedCpu
from armwright.request.fields import UNSURE, Field, FieldKind
from armwright.request.submission import FieldValue, FieldValues, MalformedError
from armwright.system.errors import nearest

_EMPTY = ("", "_No response_", "None")  # how GitHub writes a field that was left empty
_VERSION: TypeAdapter[str] = TypeAdapter(patterns.VersionName)


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        framework: its name.
        version: a published one, or one that a recipe could hold; empty for the newest.
        target: its name; empty where the CPU decides.
        backend: its name; empty where any will do.
        dtypes: the data types that are wanted.
        cpu: the CPU that was shown; without a target there is one, and it has one.
    """

    framework: str
    version: str = ""
    target: str = ""
    backend: str = ""
    dtypes: tuple[Dtype, ...] = ()
    cpu: SubmittedCpu | None = None


def parse_request(matrix: Matrix, form: Sequence[Field], values: FieldValues) -> Request:
    """Make a request of what was written into the fields.

    Raises:
        MalformedError: a field does not hold what it can hold; all of them are named.
    """
    reader = _RequestReader(matrix, values)
    kinds: Mapping[FieldKind, Field] = {one.kind: one for one in form if one.kind is not FieldKind.CHOICE}
    words = {one.key: reader.choice(one) for one in form if one.kind is FieldKind.CHOICE}
    version = reader.version(kinds[FieldKind.VERSION], words["framework"])
    dtypes = cast("tuple[Dtype, ...]", reader.choices(kinds[FieldKind.CHOICES]))
    shown = reader.cpu(kinds[FieldKind.CPU], words["target"])
    if reader.mistakes:
        raise MalformedError(*reader.mistakes)
    said = {key: "" if word == UNSURE else word for key, word in words.items()}
    return Request(version=version, dtypes=dtypes, cpu=shown, **said)


@dataclass
class _RequestReader:
    """Reads what stands in fields, and notes what is wrong with it."""

    matrix: Matrix
    values: FieldValues
    mistakes: list[str] = field(default_factory=list)

    def choice(self, field: Field) -> str:
        """Read a value of a closed set; empty where it is a wrong one."""
        text, place = self._value(field)
        if text:
            return self._meant(field, text, place)
        if UNSURE not in field.choices:
            self.mistakes.append(f"{place}: it is missing; allowed: {', '.join(field.choices)}")
            return ""
        return UNSURE

    def choices(self, field: Field) -> tuple[str, ...]:
        """Read several values, with commas between them."""
        text, place = self._value(field)
        words = [word.strip() for word in text.split(",")] if text else []
        return tuple(dict.fromkeys(self._meant(field, word, place) for word in words))

    def version(self, field: Field, framework: str) -> str:
        """Read a version: a published one however it is spelled, or one that a recipe could hold."""
        text, place = self._value(field)
        published = self.matrix.versions(framework) if framework else []
        if not published or not text or not self._printable(text, place, published):
            return ""
        if text in published:
            return text
        same = {order(version): version for version in published if order(version) > NAMED}
        try:
            version = Version(_VERSION.validate_python(text))
            return same.get(version) or _VERSION.validate_python(str(version))
        except (ValidationError, InvalidVersion):
            self.mistakes.append(f"{place}: it is no version: {nearest(text, published)}")
            return ""

    def cpu(self, field: Field, target: str) -> SubmittedCpu | None:
        """Read what somebody pasted; it must tell enough where the target is left to it."""
        text, place = self._value(field)
        found = cpu.parse_cpu(text, self.matrix, cpu_names.load_cpu_names(self.matrix.root)) if text else None
        if target == UNSURE and found is None:
            self.mistakes.append(f"{place}: it is empty, and it would have to say which target is right. {field.help}")
        elif target == UNSURE and found is not None and found.target is None:
            self.mistakes.append(f"{place}: {found.reason}")
        return found

    def _value(self, field: Field) -> FieldValue:
        text, place = self.values.get(field.key, FieldValue("", f"'{field.heading}'"))
        text = text.strip(" \t\n")
        if len(text) > field.limit:
            self.mistakes.append(f"{place}: it has more than {field.limit} characters")
            text = ""
        return FieldValue("" if text in _EMPTY else text, place)

    def _meant(self, field: Field, word: str, place: str) -> str:
        if not self._printable(word, place, field.choices):
            return ""
        found = field.meaning(word)
        if found is None:
            self.mistakes.append(f"{place}: it is none of the values: {nearest(word, field.choices)}")
        return found or ""

    def _printable(self, word: str, place: str, allowed: Sequence[str]) -> bool:
        """Say whether a word is printable ASCII; note the first character that is not, and the nearest right word."""
        odd = next((one for one in word if not " " <= one <= "~"), None)
        if odd is None:
            return True
        meant = unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode()
        nameless = "a control character" if unicodedata.category(odd) == "Cc" else "a character without a name"
        name = unicodedata.name(odd, nameless)
        self.mistakes.append(f"{place}: it holds U+{ord(odd):04X} ({name}): {nearest(meant, allowed)}")
        return False
