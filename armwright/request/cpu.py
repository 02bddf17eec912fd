"""A CPU as people show it, by what `lscpu` or /proc/cpuinfo prints or by its name, and the target that is right for it.

Nothing of the text comes out but numbers of parts: the rest are the words of recipes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from armwright.matrix.matrix import Matrix
from armwright.recipes.targets import Target
from armwright.request.cpu_names import Cpus
from armwright.system.errors import some

_FOREIGN = {  # `Architecture` of lscpu, and words that are among the features of one architecture only
    "x86_64": "an x86-64 machine", "i686": "an x86 machine", "i386": "an x86 machine", "armv6l": "a 32-bit Arm system",
    "armv7l": "a 32-bit Arm system", "armv8l": "a 32-bit Arm system", "ppc64le": "a POWER machine",
    "s390x": "an IBM Z machine", "riscv64": "a RISC-V machine", "sse2": "an x86 machine",
    "thumb": "a 32-bit Arm system",
}  # fmt: skip
_HIDDEN = "0x00"  # the implementer that a hypervisor shows in place of the real one
_IMPLEMENTER = re.compile(r"0x[0-9a-f]{2}")
_PART = re.compile(r"0x[0-9a-f]{3}")
_FEATURE = re.compile(r"[a-z0-9_]{2,20}")
_LONGEST_NAME = 120
_WORDS_OF_A_NAME = 4
_MOST = 8  # names in a sentence
_TOO_SHORT = 5  # letters of a name that means something only when nothing stands beside it: n1, m2, tx2


@dataclass(frozen=True)
class SubmittedCpu:
    """What a CPU is, and what is right for it.

    Attributes:
        target: the target; None where the text tells too little.
        reason: why this one, or why none.
        features: those that any target asks for, as far as every core has them; None where the text does not tell.
        unmade: no target is made for it; the one that is right is the nearest.
    """

    target: Target | None
    reason: str
    features: frozenset[str] | None = None
    unmade: bool = False

    def lacks(self, target: Target) -> list[str]:
        """Return the features of a target's floor that it is known not to have."""
        return [] if self.features is None else [one for one in target.floor if one not in self.features]


@dataclass
class _Seen:
    """What the lines say."""

    parts: dict[str, None] = field(default_factory=dict)
    features: list[frozenset[str]] = field(default_factory=list)
    foreign: str = ""

    @property
    def anything(self) -> bool:
        return bool(self.parts or self.features)


def parse_cpu(text: str, matrix: Matrix, known: Cpus) -> SubmittedCpu:
    """Find the target that is right for a CPU.

    The part's number decides first. Where no target is made for it, or where it is hidden, the features do: of the
    floors that they meet the largest.

    Args:
        text: what a program printed, or a name; somebody else's, and of a bounded length.
        matrix: the loaded matrix.
        known: what CPUs are called.
    """
    targets = [matrix.recipes.targets[name] for name in matrix.axes.targets]
    seen = _seen(text, known, frozenset(feature for target in targets for feature in target.floor))
    if seen.foreign:
        return SubmittedCpu(
            None, f"this is the output of {seen.foreign}; the machine that is meant has 64-bit Arm CPUs"
        )
    if not seen.anything:
        return _named(text, matrix, known, targets)
    return _decided(seen, known, targets)


def _seen(text: str, known: Cpus, wanted: frozenset[str]) -> _Seen:
    """Read the lines; a line without a colon goes on where the features ended, as a terminal breaks them."""
    seen = _Seen()
    names = {_plain(name): part for part, name in reversed(known.parts.items())}
    vendors = {_plain(name): number for number, name in known.implementers.items()}
    vendor, implementer, going_on = "", "", False
    for line in text.lower().split("\n"):
        key, colon, value = (part.strip() for part in line.partition(":"))
        words = (value if colon else key).split()
        if going_on and not colon and all(map(_FEATURE.fullmatch, words)):
            seen.features[-1] |= wanted & frozenset(words)
            continue
        going_on = {"fp", "asimd"} <= set(words)
        seen.foreign = seen.foreign or next((_FOREIGN[word] for word in words if word in _FOREIGN and colon), "")
        if going_on:
            seen.features.append(wanted & frozenset(words))
        elif key == "cpu implementer" and _IMPLEMENTER.fullmatch(value):
            implementer = value
        elif key == "cpu part" and _PART.fullmatch(value) and implementer:
            seen.parts[f"{implementer}:{value}"] = None
        elif key == "vendor id":
            vendor = value if _IMPLEMENTER.fullmatch(value) else vendors.get(_plain(value), "")
        elif colon and _plain(value) in names and not key.startswith("bios"):
            seen.parts[names[_plain(value)]] = None
    if vendor and not seen.parts:
        seen.parts[f"{vendor}:{'0x000' if vendor == _HIDDEN else '*'}"] = None
    return seen


def _decided(seen: _Seen, known: Cpus, targets: list[Target]) -> SubmittedCpu:
    features = frozenset.intersection(*seen.features) if seen.features else None
    parts = list(seen.parts)
    own = [_own(part, targets) for part in parts]
    made = own[0] if own and all(one is own[0] for one in own) else None  # made for all of its cores
    hidden = any(part.startswith(_HIDDEN) for part in parts)
    unmade = False
    called = _listed([known.title(part) for part in parts]) or "a CPU"
    if made is not None and not hidden:
        cpu = SubmittedCpu(made, f"it is {called}, for which {made.name} ({made.title}) is made", features)
        if not (missing := cpu.lacks(made)):
            return cpu
        why = f"it is {called}, for which {made.name} is made; but here it lacks {_listed(missing)}"
    elif hidden:
        why = "a hypervisor hides what it is"
    elif len(parts) > 1:
        why = f"it has cores of several kinds ({called}), and what all of them have counts"
    elif not parts or parts[0].endswith("*"):
        why = f"it is {called} that does not say which"
    else:
        why = f"it is {called}, for which no target is made"
        unmade = True
    if features is None:
        return replace(_any(why, targets), unmade=unmade)
    return replace(_by_features(why, features, targets, made if hidden else None), unmade=unmade)


def _by_features(why: str, features: frozenset[str], targets: list[Target], rather: Target | None) -> SubmittedCpu:
    """Take the largest floor that is met; of several that are as large the CPU's own, or the first."""
    cpu = SubmittedCpu(None, f"{why}; it meets no target's floor", features)
    fitting = [target for target in targets if not cpu.lacks(target)]
    if not fitting:
        return cpu
    size = max(len(target.floor) for target in fitting)
    best = [target for target in fitting if len(target.floor) == size]
    chosen = rather if rather in best else best[0]
    larger = [target for target in targets if len(target.floor) > size]
    nearest = min(larger, key=lambda target: len(cpu.lacks(target)), default=None)
    above = f"; for {nearest.name} it lacks {_listed(cpu.lacks(nearest))}" if nearest else ""
    floor = f"of the floors that its features meet, that of {chosen.name} ({chosen.title}) is the largest"
    return SubmittedCpu(chosen, f"{why}; {floor}{above}", features)


def _named(text: str, matrix: Matrix, known: Cpus, targets: list[Target]) -> SubmittedCpu:
    """Find a CPU by its name; a target that is for every CPU counts only where no other is named."""
    words = re.findall(r"[a-z]+|[0-9]+", text.lower()) if len(text) <= _LONGEST_NAME else []
    spans = ["".join(words[i : i + n]) for n in range(1, _WORDS_OF_A_NAME + 1) for i in range(len(words) + 1 - n)]
    said = {span for span in spans if len(span) >= _TOO_SHORT} | {"".join(words)}
    names = _names(matrix, targets)
    found = {names[span]: span for span in said if span in names}
    special = {name for name in found if "*" not in matrix.recipes.targets[name].parts} or set(found)
    if len(special) == 1:
        target = matrix.recipes.targets[special.pop()]
        return SubmittedCpu(target, f"it is named, and {target.name} ({target.title}) is made for it")
    parts = [part for part, name in known.parts.items() if _plain(name) in said] if not special else []
    if parts:
        return _decided(_Seen(dict.fromkeys(parts[:1])), known, targets)
    several = f"it names several: {_listed(sorted(special))}" if special else "it is no name that is known here"
    return SubmittedCpu(None, f"{several}; `lscpu` or `cat /proc/cpuinfo` prints what is needed")


def _names(matrix: Matrix, targets: list[Target]) -> Mapping[str, str]:
    published = {_plain(alias): name for alias, name in matrix.names("targets").items()}
    return {**{_plain(target.title): target.name for target in targets}, **published}


def _any(why: str, targets: list[Target]) -> SubmittedCpu:
    """Take the target that is for every CPU."""
    chosen = next((target for target in targets if "*" in target.parts), None)
    more = "`lscpu` or `cat /proc/cpuinfo` shows its features, and those may meet a larger floor"
    return SubmittedCpu(
        chosen, f"{why}; {more}" if chosen is None else f"{why}; {chosen.name} ({chosen.title}) runs; {more}"
    )


def _own(part: str, targets: list[Target]) -> Target | None:
    """Return the target that is made for a part: for this one, or for all of its implementer."""
    every = f"{part.partition(':')[0]}:*"
    return next((target for one in (part, every) for target in targets if one in target.parts), None)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _listed(names: Sequence[str]) -> str:
    return some(names, _MOST)
