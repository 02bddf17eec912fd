"""Tamperings with requests: what an issue holds and does not show, and names that are not what they seem."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from armwright.request.submission import MalformedError
from tests.hostile.corpus import body
from tests.request_helpers import parse_body
from tests.sabotage.ledger import Outcome
from tests.sabotage.tampering import Tampering, Workplace

SHOWN, HIDDEN = "n1", "v1"
VISIBLE = body({"use": "_No response_"})
INVISIBLE = body({"target": "v1 - Arm Neoverse V1"})
TARGET = "### Target\n\nn1 - Arm Neoverse N1\n"
OTHER_TARGET = "### Target\n\nv1 - Arm Neoverse V1\n"
# A fence in a list ends with the list; a reader that knows no lists reads on to the next one.
FENCE_IN_A_LIST = f"- x\n\n  ```\n<!--\n```\n{INVISIBLE}\n-->\n\n{VISIBLE}"
# Four spaces are code below a blank line, but in a list they are a paragraph, or HTML.
INDENTED = "\n".join(f"  {line}".rstrip() for line in INVISIBLE.splitlines())
COMMENT_IN_A_LIST = f"- x\n\n    <!--\n{INDENTED}\n    -->\n\n{VISIBLE}"


def read(text: str) -> Callable[[Workplace], Outcome]:
    """Read an issue; it must be refused, or read as a person sees it."""

    def attempt(place: Workplace) -> Outcome:
        assert parse_body(place.matrix, VISIBLE).target == SHOWN
        try:
            request = parse_body(place.matrix, text)
        except MalformedError as error:
            return Outcome({"form": error.what})
        return Outcome({"form": "read as it is shown"}) if request.target == SHOWN else Outcome({}, ["form"])

    return attempt


def unsure(cpu: str) -> Callable[[Workplace], Outcome]:
    """Read an issue that leaves the target to the name of a CPU; no target may be chosen."""

    def attempt(place: Workplace) -> Outcome:
        assert parse_body(place.matrix, body({"target": "not sure", "cpu": "Neoverse N1"})).cpu
        try:
            parse_body(place.matrix, body({"target": "not sure", "cpu": cpu}))
        except MalformedError as error:
            return Outcome({"cpu name": error.what})
        return Outcome({}, ["cpu name"])

    return attempt


def versioned(version: str) -> Callable[[Workplace], Outcome]:
    """Read an issue with a version that nobody writes for the one that it is read as."""

    def attempt(place: Workplace) -> Outcome:
        try:
            parse_body(place.matrix, body({"version": version}))
        except MalformedError as error:
            return Outcome({"version": error.what})
        return Outcome({}, ["version"])

    return attempt


def _form(pattern: str, text: str) -> Tampering:
    return Tampering("request", "form", pattern, read(text))


def _name(pattern: str, cpu: str) -> Tampering:
    return Tampering("request", "cpu name", pattern, unsure(cpu))


def _version(version: str) -> Tampering:
    return Tampering("request", "version", "not a version|contains U", versioned(version))


HTML, NEGATED = "HTML is not allowed", "what the CPU is not"
REQUESTS: Mapping[str, Tampering] = {
    "a form in a comment": _form(HTML, f"<!--\n{INVISIBLE}\n-->\n{VISIBLE}"),
    "a form in a comment that never ends": _form(HTML, f"<!--\n{INVISIBLE}"),
    "a form that is folded away": _form(HTML, f"<details><summary>log</summary>\n\n{INVISIBLE}\n</details>\n{VISIBLE}"),
    "a form in a processing instruction": _form(HTML, f"<?x\n{INVISIBLE}\n?>\n{VISIBLE}"),
    "a form in a declaration": _form(HTML, f"<!X\n{INVISIBLE}\n>\n{VISIBLE}"),
    "a form in the attribute of a tag": _form(HTML, f'<img alt="\n{INVISIBLE}\n">\n{VISIBLE}'),
    "a form in a comment below a fence": _form(HTML, f"```\nlog\n```\n<!--\n{INVISIBLE}\n-->\n{VISIBLE}"),
    "a form in a comment that begins behind a word": _form(HTML, f"see <!--\n{INVISIBLE}\n-->\n{VISIBLE}"),
    "a form in a fence": _form("as it is shown", f"```\n{INVISIBLE}\n```\n{VISIBLE}"),
    "a form in a quote": _form("as it is shown", f"> {INVISIBLE.replace(chr(10), chr(10) + '> ')}\n\n{VISIBLE}"),
    "a form below the use case": _form("as it is shown", f"{VISIBLE}\n{INVISIBLE}"),
    "a field in two sections": _form(
        "given twice", VISIBLE.replace(TARGET, f"{OTHER_TARGET}\n{TARGET}")
    ),
    "a field in a comment, and below it the shown one": _form(
        HTML, VISIBLE.replace(TARGET, f"<!--\n{OTHER_TARGET}\n### CPU\n-->\n{TARGET}")
    ),
    "a heading with a space of no width": _form("unknown heading", VISIBLE.replace("### Target", "### Tar\u200bget")),
    "a value with a space of no width": _form(
        "U\\+200B", VISIBLE.replace("n1 - Arm Neoverse N1", "n1\u200b - Arm Neoverse N1")
    ),
    "a form in a comment behind a fence of a list": _form(HTML, FENCE_IN_A_LIST),
    "a form in a comment of a list": _form(HTML, COMMENT_IN_A_LIST),
    "not one CPU but another": _name(NEGATED, "not Neoverse N1 but Cortex-A72"),
    "a CPU that it never was": _name(NEGATED, "it was never a Graviton2"),
    "a CPU no longer": _name(NEGATED, "Neoverse N1 no longer"),
    "a CPU that somebody does not have": _name(NEGATED, "we don't have a Graviton3"),
    "a CPU instead of another": _name(NEGATED, "an EPYC instead of the Graviton3"),
    "two CPUs": _name("several targets", "Graviton2, and from next year Graviton4"),
    "anything but a CPU": _name(".", "anything but Neoverse V1"),
    "other than a CPU": _name(".", "other than Neoverse N1"),
    "a CPU that was replaced": _name(".", "we replaced our Graviton2"),
    "a CPU that is struck through": _name(".", "~~Neoverse N1~~ an EPYC"),
    "not a CPU, in German": _name(".", "kein Neoverse N1"),
    "a CPU in a definition that an issue does not show": _name(".", "[x]: # (Neoverse V1)"),
    "a CPU in the address of a picture": _name(".", "![](https://example.org/neoverse-v1.png)"),
    "a CPU in a diagram": _name(".", "```mermaid\n%% Neoverse V1\ngraph TD\n```"),
    "a CPU with a digit of another script": _name(".", "Neoverse N1\u0660"),
    "a CPU with letters that turn round": _name(".", "Neoverse \u202eN1"),
    "a version that ends in -c": _version("2.10.0-c"),
    "a version that ends in dev": _version("2.10.0dev"),
    "a version of fullwidth digits": _version("\uff12.10.0"),
    "a version that ends in -r": _version("2.10.0-r"),
    "a version that ends in post": _version("2.10.0post"),
}  # fmt: skip
