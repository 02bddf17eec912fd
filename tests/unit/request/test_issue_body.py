"""The sections of an issue body: which headings count, and what the value below a heading is."""

from __future__ import annotations

import time

import pytest

from armwright.request.issue_body import find_html, find_unclear_headings, read_sections


def sections(body: str) -> list[tuple[int, str, str]]:
    return [(section.line, section.heading, section.text) for section in read_sections(body)]


def test_value_is_the_text_up_to_the_next_heading() -> None:
    assert sections("intro\n\n### A\n\n  x\n\ny\n\n### B ###\r\n\r\nz\r\n") == [(3, "A", "x\n\ny"), (9, "B", "z")]
    assert sections("### A\n### B") == [(1, "A", ""), (2, "B", "")]


@pytest.mark.parametrize(
    "line",
    ["## A", "#### A", "###A", "\\### A", "    ### A", "> ### A", "- ### A", "<p>### A</p>", "A\n---", "```\n### A"],
)
def test_only_headings_of_the_third_level_count(line: str) -> None:
    assert [heading for _, heading, _ in sections(f"### First\n\n{line}\n")] == ["First"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("```text\nx\n### B\n```", "x\n### B"),
        ("~~~\nx\n~~~\n", "x"),
        ("````\n```\nx\n```\n````", "```\nx\n```"),
        ("```\nx", "x"),
        ("```\nx\n```\ny", "```\nx\n```\ny"),
        ("x `y`\n<b>", "x `y`\n<b>"),
        ("a\x00b", "a\x00b"),
        ("a\u2028b\x0bc", "a\u2028b\x0bc"),
    ],
)
def test_single_fence_is_unwrapped_and_other_text_stays(text: str, value: str) -> None:
    assert sections(f"### A\n\n{text}") == [(1, "A", value)]


@pytest.mark.parametrize(
    "line", ["```\n", "a\n", "    a\n", "> ", "[", "*", "`", "~~~\n~~\n", "- ", "- a\n", "~", "$", "|-"]
)
def test_longest_body_is_read_in_linear_time(line: str) -> None:  # the hostile corpus has thousands of headings
    started = time.process_time()
    list(read_sections(line * (65_536 // len(line))))
    find_html(line * (65_536 // len(line)))
    find_unclear_headings(line * (65_536 // len(line)))
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("<!--\n### A\n-->\n### A\n\nx", [1]),
        ("### A\n\nx <!-- y -->\n", [3]),
        ("a\r\n<details><summary>b</summary>\r\n### A\r\n</details>", [2, 4]),
        ("<?php\n<!DOCTYPE a>\n</p>\n", [1, 2, 3]),
        ("```\n<b>\n```\n\n    <b>\n\n1 < 2 <3\n", []),
        ("<!--\n```\n### A\n```\n-->", [1]),
        ("- x\n\n  ```\n<!--\n```\n", [4]),
        ("- x\n\n    <!--\n    -->\n", [3]),
        ("- x\n\n  ```\n```\n### A\n```\n<!--\n```\n", [7]),
        ("> ```\n> <b>\n", [2]),
    ],
)
def test_html_outside_code_is_found(body: str, lines: list[int]) -> None:
    assert find_html(body) == lines


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("### A\n\n- x\n\n> y\n\n### B", []),
        ("- x\n\n  ### A\n\n### B", [3]),
        ("- x\n\n  ```\n```\n### A\n```\n```\n### B", [5, 8]),
        ("- ```\n  x\n  ```\n### A", [4]),
        ("- " * 50 + "x\n### A", [2]),
    ],
)
def test_heading_that_an_issue_may_not_show_is_found(body: str, lines: list[int]) -> None:
    assert find_unclear_headings(body) == lines


@pytest.mark.parametrize(
    "text",
    [
        "Neoverse N1", "**Neoverse** `N1`", "```\n~~V1~~ [x]: # (V1)\n```", "x\n\n```text\n![](v1)\n```\ny",
        "    ~~V1~~",
        "[root@host ~]# lscpu\nArchitecture: aarch64", "$ lscpu\n\n$ cat /proc/cpuinfo", "```V1```", "| CPU | V1 |",
    ],
)  # fmt: skip
def test_shown_text_is_known_as_shown(text: str) -> None:
    (section,) = read_sections(f"### A\n\n{text}\n")
    assert section.is_shown


@pytest.mark.parametrize(
    "text",
    [
        "~~Neoverse N1~~", "~N1~", "an EPYC ~~and\nN1~~", "[x]: # (V1)", "[^x]: V1", "[x](# 'V1')",
        "![](https://x/v1.png)",
        "[x][V1]", "$\\phantom{V1}$", "$$\\phantom{V1}$$", "|a|\n|-|\n|b|V1|", "a\n:-\nb|V1",
        "> |a|\n> |:-:|\n> |b|V1|",
        "```mermaid\n%% V1\n```", "x\n\n```V1\ny\n```\n", "- ```mermaid\n  %% V1\n", "> ~~~ math\n> %V1\n> ~~~",
        "- x\n\n    ~~V1~~",
    ],
)  # fmt: skip
def test_text_that_an_issue_does_not_show_is_known(text: str) -> None:
    (section,) = read_sections(f"### A\n\n{text}\n")
    assert not section.is_shown
