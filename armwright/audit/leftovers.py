"""Leftovers: files, text, owners, modes and times in an image that come from the machine that built it.

The rules are data, in recipes/leftovers.yaml; what to look for of the machine at hand is the caller's. Every file is
read. Text that a locked package or wheel has too is not a leftover: the caller decides that, because it has these.
"""

from __future__ import annotations

import re
import stat
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from armwright.audit.file_tree import Entry
from armwright.recipes.patterns import Reason
from armwright.system import yaml_file
from armwright.system.strict_model import StrictModel

RULES = "recipes/leftovers.yaml"
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
ImagePath = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.*+!\[\]-]+(/[A-Za-z0-9_.*+!\[\]-]+)*$")]
Owner = Annotated[str, StringConstraints(pattern=r"^[0-9]+:[0-9]+$")]


def _check_expression(text: str) -> str:
    try:
        re.compile(text.encode())
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return text


class LeftFiles(StrictModel):
    """Files that only a builder leaves."""

    paths: list[ImagePath] = Field(min_length=1)
    reason: Reason


class LeftText(StrictModel):
    """Text that only a builder leaves."""

    pattern: Annotated[str, AfterValidator(_check_expression)]
    reason: Reason

    @cached_property
    def expression(self) -> re.Pattern[bytes]:
        """The pattern, compiled."""
        return re.compile(self.pattern.encode())


class LeftoverRules(StrictModel):
    """recipes/leftovers.yaml.

    Attributes:
        owners: paths that do not belong to root, with user and group.
        private: folders that only their owner can enter.
        shared: folders that everybody can write to, but only to files of their own.
        staff: folders that a group of their own may write to, which new files in them get.
        engine: what an engine makes in a container; empty files and folders, which are in no layer.
        variables: globs over variables of the builder's environment.
        common: values that say nothing about a machine.
        least: the fewest characters of a value to look for.
    """

    files: list[LeftFiles]
    texts: list[LeftText]
    owners: dict[ImagePath, Owner]
    private: list[ImagePath]
    shared: list[ImagePath]
    staff: list[ImagePath]
    engine: list[ImagePath]
    variables: list[str]
    common: list[str]
    least: int = Field(ge=4)

    def select_traces(self, traces: Mapping[str, str]) -> dict[str, str]:
        """Return the values that tell a machine."""
        return {value: what for value, what in traces.items() if len(value) >= self.least and value not in self.common}


@dataclass(frozen=True)
class Leftover:
    """Something that a builder left.

    Attributes:
        kind: "file", "text", "owner", "mode" or "time".
        path: where it is.
        what: what it is.
        found: the text, if it is one.
    """

    kind: str
    path: str
    what: str
    found: bytes = b""


def load_rules(root: Path) -> LeftoverRules:
    """Load recipes/leftovers.yaml.

    Raises:
        InputError: every mistake in the file, with line and column.
    """
    return yaml_file.load_yaml(root / RULES, RULES, LeftoverRules)


@dataclass(frozen=True)
class Traces:
    """What tells the machine at hand, as text with what it is.

    Attributes:
        values: text that may be in any file.
        authorities: lines of certificates.
    """

    values: Mapping[str, str]
    authorities: Mapping[str, str]


def find_leftovers(entries: Iterable[Entry], rules: LeftoverRules, traces: Traces, time: int) -> Iterator[Leftover]:
    """Yield the leftovers in an image.

    Args:
        entries: the image's file tree, without what the engine makes (`rules.engine`).
        rules: what must not be there.
        traces: the text to look for.
        time: the time that every file has.
    """
    for entry in entries:
        yield from _judge_entry(entry.header, entry.path, rules, time)
        yield from search_text(entry.path, entry.content, rules.texts, traces)


def _judge_entry(entry: tarfile.TarInfo, path: str, rules: LeftoverRules, time: int) -> Iterator[Leftover]:
    for rule in rules.files if not entry.isdir() else ():
        if any(fnmatchcase(path, glob) for glob in rule.paths):
            yield Leftover("file", path, rule.reason)
    owner = f"{entry.uid}:{entry.gid}"
    if owner != rules.owners.get(path, "0:0") and not (path in rules.staff and not entry.uid):
        yield Leftover("owner", path, f"belongs to {owner}")
    if not entry.issym() and not _is_right_mode(entry, path, rules):
        yield Leftover("mode", path, f"mode {entry.mode:04o}")
    if entry.mtime != time:
        yield Leftover("time", path, f"time {entry.mtime}")


def _is_right_mode(entry: tarfile.TarInfo, path: str, rules: LeftoverRules) -> bool:
    mode = entry.mode
    if path in rules.private:
        return mode == stat.S_IRWXU
    if path in rules.shared:
        return mode == stat.S_ISVTX | 0o777
    if path in rules.staff:
        return mode in {stat.S_ISGID | 0o775, 0o755}
    readable = 0o555 if entry.isdir() else 0o444
    return mode & readable == readable and not mode & (stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX | 0o022)


def search_text(path: str, data: bytes, patterns: Iterable[LeftText], traces: Traces) -> Iterator[Leftover]:
    """Yield the text of a builder in a file or in the target of a link."""
    for pattern in patterns:
        if found := pattern.expression.search(data):
            yield Leftover("text", path, pattern.reason, found[0])
    certified = _CERTIFICATE in data
    for value, what in [*traces.values.items(), *(traces.authorities.items() if certified else ())]:
        needle = value.encode()
        at = data.find(needle)
        while at >= 0:
            if not _is_inside_word(data, at, at + len(needle)):
                yield Leftover("text", path, what, needle)
                break
            at = data.find(needle, at + 1)


def _is_inside_word(data: bytes, begin: int, end: int) -> bool:
    """Return whether the bytes around a match make it part of a longer word."""
    around = (data[begin - 1 : begin] if begin else b"", data[end : end + 1])
    inner = (data[begin : begin + 1], data[end - 1 : end])
    return any(outside.isalnum() and edge.isalnum() for outside, edge in zip(around, inner, strict=True))
