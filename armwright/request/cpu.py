"""Chooses the target for a CPU that a user submits: the output of `lscpu` or `cat /proc/cpuinfo`, or a name.

The text is untrusted. Only part numbers are taken from it; every name in a result comes from a recipe.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from armwright.matrix.matrix import Matrix
from armwright.recipes.targets import Target
from armwright.request.cpu_doubts import find_doubt, has_negation
from armwright.request.cpu_names import CpuNames
from armwright.system.errors import some

_FOREIGN = {  # `Architecture` of lscpu, and features that only one other architecture has
    "x86_64": "an x86-64 machine", "i686": "an x86 machine", "i386": "an x86 machine", "armv6l": "a 32-bit Arm system",
    "armv7l": "a 32-bit Arm system", "armv8l": "a 32-bit Arm system", "ppc64le": "a POWER machine",
    "s390x": "an IBM Z machine", "riscv64": "a RISC-V machine", "sse2": "an x86 machine",
    "thumb": "a 32-bit Arm system",
}  # fmt: skip
_HIDDEN = "0x00"  # the implementer that a hypervisor shows in place of the real one
_IMPLEMENTER = re.compile(r"0x[0-9a-f]{2}")
_PART = re.compile(r"0x[0-9a-f]{3}")
_FEATURE = re.compile(r"[a-z0-9_]{2,20}")
_LISTED_NAME = re.compile(r"[a-z0-9]+([ _-]+[a-z0-9]+)*")  # the name of a CPU or its maker, as the value of a label
_PIECE = re.compile("[a-z\u00df-\u024f]+|[0-9]+|[^\\W\u0000-\u024f]+")  # of a name: Latin letters, digits, others
_MAX_NAME = 120  # characters of a text that is taken for a CPU's name
_NAME_WORDS = 4
_MAX_LISTED = 8  # names in a sentence
_DISTINCTIVE = 5  # letters; a shorter name (n1, m2, tx2) counts only if the text holds nothing else
_PASTE = "paste the output of `lscpu` or `cat /proc/cpuinfo`"


@dataclass(frozen=True)
class SubmittedCpu:
    """A CPU that a user submitted, and the target for it.

    Attributes:
        target: the target; None if the text is not enough to choose one.
        reason: why this target was chosen, or why none.
        features: the features that all cores have, of those that any floor contains; None if the text has no features.
        approximate: no target is made for this CPU; `target` is the nearest one whose images run on it.
    """

    target: Target | None
    reason: str
    features: frozenset[str] | None = None
    approximate: bool = False

    def missing(self, target: Target) -> list[str]:
        """Return the features of a target's floor that this CPU is known to lack."""
        return [] if self.features is None else [feature for feature in target.floor if feature not in self.features]


@dataclass
class _CpuFacts:
    """The parts and features found in a text, the foreign machine that it comes from, and whether its prose negates."""

    parts: dict[str, None] = field(default_factory=dict)
    features: list[frozenset[str]] = field(default_factory=list)
    foreign: str = ""
    negated: bool = False


def parse_cpu(text: str, matrix: Matrix, names: CpuNames) -> SubmittedCpu:
    """Choose the target for a CPU.

    The part number decides first. If no target is made for the part, or a hypervisor hides it, the features decide:
    the target with the largest floor that they meet.

    Args:
        text: the output of a program, or a name; untrusted, of bounded length.
        matrix: the loaded matrix.
        names: the names of CPUs.
    """
    targets = [matrix.recipes.targets[name] for name in matrix.axes.targets]
    facts = _read_facts(text, names, frozenset(feature for target in targets for feature in target.floor))
    if facts.foreign:
        reason = f"this is the output of {facts.foreign}; {_PASTE} of a machine with 64-bit Arm CPUs"
        return SubmittedCpu(None, reason)
    if not facts.parts and not facts.features:
        return _choose_by_name(text, matrix, names, targets)
    if facts.negated and not facts.features:
        return SubmittedCpu(None, f"the text says what the CPU is not, or no longer is; {_PASTE}")
    return _choose(facts, names, targets)


def _read_facts(text: str, names: CpuNames, wanted: frozenset[str]) -> _CpuFacts:
    """Read the lines. A line without a colon continues a list of features, as a terminal wraps it."""
    facts = _CpuFacts()
    parts = {_plain(name): part for part, name in reversed(names.parts.items())}
    vendors = {_plain(name): number for number, name in names.implementers.items()}
    vendor, implementer, in_features = "", "", False
    for line in text.lower().split("\n"):
        key, colon, value = (piece.strip() for piece in line.partition(":"))
        words = (value if colon else key).split()
        if in_features and not colon and all(map(_FEATURE.fullmatch, words)):
            facts.features[-1] |= wanted & frozenset(words)
            continue
        in_features = {"fp", "asimd"} <= set(words)
        facts.foreign = facts.foreign or next((_FOREIGN[word] for word in words if word in _FOREIGN and colon), "")
        if in_features:
            facts.features.append(wanted & frozenset(words))
        elif key == "cpu implementer" and _IMPLEMENTER.fullmatch(value):
            implementer = value
        elif key == "cpu part" and _PART.fullmatch(value) and implementer:
            facts.parts[f"{implementer}:{value}"] = None
        elif key == "vendor id":
            vendor = value if _IMPLEMENTER.fullmatch(value) else vendors.get(_plain(value), "")
        elif colon and _LISTED_NAME.fullmatch(value) and _plain(value) in parts and not key.startswith("bios"):
            facts.parts[parts[_plain(value)]] = None
            facts.negated = facts.negated or has_negation(key)
        elif not value:
            facts.negated = facts.negated or has_negation(key)
    if vendor and not facts.parts:
        facts.parts[f"{vendor}:{'0x000' if vendor == _HIDDEN else '*'}"] = None
    return facts


def _choose(facts: _CpuFacts, names: CpuNames, targets: list[Target]) -> SubmittedCpu:
    """Choose by the parts, and by the features where no single target is made for the parts."""
    features = frozenset.intersection(*facts.features) if facts.features else None
    parts = list(facts.parts)
    made_for = [_made_for(part, targets) for part in parts]
    exact = made_for[0] if made_for and all(target is made_for[0] for target in made_for) else None
    hidden = any(part.startswith(_HIDDEN) for part in parts)
    approximate = False
    title = _listed([names.title(part) for part in parts])
    if exact is not None and not hidden:
        cpu = SubmittedCpu(exact, f"this is {title}; target {exact.name} ({exact.title}) is made for it", features)
        if not (missing := cpu.missing(exact)):
            return cpu
        why = f"this is {title}; target {exact.name} is made for it, but this machine shows no {_listed(missing)}"
    elif hidden:
        why = "a hypervisor hides the model of this CPU"
    elif len(parts) > 1:
        why = f"this CPU has several kinds of cores ({title}), and only features of all of them count"
    elif not parts:
        why = "the model of this CPU is not shown"
    elif parts[0].endswith("*"):
        why = f"this is {title}, and its model is not shown"
    else:
        why = f"no target is made for {title}"
        approximate = True
    if features is None:
        return replace(_choose_any(why, targets), approximate=approximate)
    return replace(_choose_by_features(why, features, targets, exact if hidden else None), approximate=approximate)


def _choose_by_features(
    why: str, features: frozenset[str], targets: list[Target], preferred: Target | None
) -> SubmittedCpu:
    """Choose the target with the largest floor that is met; of several, the preferred one or the first."""
    cpu = SubmittedCpu(None, f"{why}; it meets the floor of no target", features)
    fitting = [target for target in targets if not cpu.missing(target)]
    if not fitting:
        return cpu
    size = max(len(target.floor) for target in fitting)
    best = [target for target in fitting if len(target.floor) == size]
    chosen = preferred if preferred in best else best[0]
    larger = [target for target in targets if len(target.floor) > size]
    above = min(larger, key=lambda target: len(cpu.missing(target)), default=None)
    limit = f"; {above.name} images do not: they need {_listed(cpu.missing(above))}" if above else ""
    return SubmittedCpu(chosen, f"{why}; {chosen.name} images ({chosen.title}) run on it{limit}", features)


def _choose_by_name(text: str, matrix: Matrix, names: CpuNames, targets: list[Target]) -> SubmittedCpu:
    """Choose by a name. A target for every CPU counts only if the text names no other."""
    pieces = _PIECE.findall(text.lower()) if len(text) <= _MAX_NAME else []
    if pieces and (doubt := find_doubt(text)):
        return SubmittedCpu(None, f"{doubt}; write only its name, or {_PASTE}")
    spans = ["".join(pieces[i : i + n]) for n in range(1, _NAME_WORDS + 1) for i in range(len(pieces) + 1 - n)]
    candidates = {span for span in spans if len(span) >= _DISTINCTIVE} | {"".join(pieces)}
    target_names = _target_names(matrix, targets)
    named = {target_names[span] for span in candidates if span in target_names}
    specific = {name for name in named if "*" not in matrix.recipes.targets[name].parts} or named
    if len(specific) == 1:
        target = matrix.recipes.targets[specific.pop()]
        return SubmittedCpu(target, f"target {target.name} ({target.title}) is made for the CPU of this name")
    parts = [part for part, name in names.parts.items() if _plain(name) in candidates] if not specific else []
    if parts:
        return _choose(_CpuFacts(dict.fromkeys(parts[:1])), names, targets)
    problem = f"the text names several targets: {_listed(sorted(specific))}" if specific else "not a known CPU name"
    return SubmittedCpu(None, f"{problem}; {_PASTE}")


def _target_names(matrix: Matrix, targets: list[Target]) -> Mapping[str, str]:
    aliases = {_plain(alias): name for alias, name in matrix.names("targets").items()}
    return {**{_plain(target.title): target.name for target in targets}, **aliases}


def _choose_any(why: str, targets: list[Target]) -> SubmittedCpu:
    """Choose the target for every CPU."""
    chosen = next((target for target in targets if "*" in target.parts), None)
    runs = f"; {chosen.name} images ({chosen.title}) run on it" if chosen else ""
    return SubmittedCpu(chosen, f"{why}{runs}; {_PASTE} to see if a better target fits")


def _made_for(part: str, targets: list[Target]) -> Target | None:
    """Return the target that is made for a part, or for every part of its implementer."""
    every = f"{part.partition(':')[0]}:*"
    return next((target for pattern in (part, every) for target in targets if pattern in target.parts), None)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _listed(names: Sequence[str]) -> str:
    return some(names, _MAX_LISTED)
