"""BuildKit's recorded events become a log, steps and seconds."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from armwright.assembly import buildx
from armwright.assembly.buildx import BuildStep, EventReader
from armwright.system import console

LOAD, COPY, RUN = "sha256:b584", "sha256:b62d", "sha256:36d8"
# buildx 0.13.1 with Docker 26.1.5, a Dockerfile of a cached COPY and a RUN that fails; the digests are shortened and
# the context's seconds increased.
RECORDED: list[dict[str, Any]] = [
    {"vertexes": [{"digest": LOAD, "name": "[internal] load build context"}]},
    {"vertexes": [{
        "digest": LOAD, "name": "[internal] load build context", "started": "2026-11-20T09:59:18.49036817Z",
    }]},
    {"statuses": [{
        "id": "transferring context:", "vertex": LOAD, "name": "transferring", "current": 22,
        "timestamp": "2026-11-20T09:59:18.493007419Z", "started": "2026-11-20T09:59:18.491640889Z",
    }]},
    {"vertexes": [{
        "digest": LOAD, "name": "[internal] load build context",
        "started": "2026-11-20T09:59:18.490591034Z", "completed": "2026-11-20T09:59:20.840591034Z",
    }]},
    {"vertexes": [{
        "digest": COPY, "inputs": [LOAD], "name": "[1/2] COPY a /a", "cached": True,
        "started": "2026-11-20T09:59:18.499715451Z", "completed": "2026-11-20T09:59:18.499735872Z",
    }]},
    {"vertexes": [{
        "digest": RUN, "inputs": [COPY], "name": '[2/2] RUN ["/nope"]', "started": "2026-11-20T09:59:18.499902251Z",
    }]},
    {"logs": [{
        "vertex": RUN, "stream": 2, "timestamp": "2026-11-20T09:59:18.674788398Z",
        "data": "cnVuYyBydW4gZmFpbGVkOiB1bmFibGUgdG8gc3RhcnQgY29udGFpbmVyIHByb2Nlc3M6IGV4ZWM6ICIvbm9wZSI6IHN0YXQgL25v"
        "cGU6IG5vIHN1Y2ggZmlsZSBvciBkaXJlY3RvcnkK",
    }]},
    {"vertexes": [{
        "digest": RUN, "inputs": [COPY], "name": '[2/2] RUN ["/nope"]',
        "started": "2026-11-20T09:59:18.499902251Z", "completed": "2026-11-20T09:59:18.70239683Z",
        "error": 'process "/nope" did not complete successfully: exit code: 1',
    }]},
]  # fmt: skip
TAIL = [
    "Dockerfile:3",
    "--------------------",
    '   3 | >>> RUN ["/nope"]',
    "--------------------",
    'ERROR: failed to solve: process "/nope" did not complete successfully: exit code: 1',
]
ONE_LINE = [json.dumps(event) for event in RECORDED]
MANY_LINES = [line for event in RECORDED for line in json.dumps(event, indent=2).splitlines()]
LOGGED = [
    "[internal] load build context …",
    "[internal] load build context: 2.4 s",
    "[1/2] COPY a /a: cached",
    '[2/2] RUN ["/nope"] …',
    'runc run failed: unable to start container process: exec: "/nope": stat /nope: no such file or directory',
    '[2/2] RUN ["/nope"]: 0.2 s ERROR: process "/nope" did not complete successfully: exit code: 1',
    *TAIL,
]


def read_events(lines: list[str], *, verbose: bool = False) -> tuple[EventReader, list[str]]:
    reader = EventReader(console.Progress("a test"), verbose)
    return reader, [logged for line in lines if (logged := reader.read_line(line)) is not None]


@pytest.mark.parametrize("lines", [ONE_LINE, MANY_LINES], ids=["one line each", "many lines each"])
def test_both_layouts_give_the_same_log_and_steps(lines: list[str]) -> None:
    reader, logged = read_events([*lines, *TAIL])
    assert logged == LOGGED
    assert [(step.name, round(step.seconds, 2), step.cached) for step in reader.steps] == [
        ("[internal] load build context", 2.35, False),
        ("[1/2] COPY a /a", 0.0, True),
        ('[2/2] RUN ["/nope"]', 0.2, False),
    ]


def test_text_between_documents_keeps_its_place() -> None:
    middle = MANY_LINES.index("}") + 1
    _, logged = read_events([*MANY_LINES[:middle], "WARN: something", "", *MANY_LINES[middle:]])
    assert logged == ["WARN: something", "", *LOGGED[: -len(TAIL)]]


@pytest.mark.parametrize("line", ["", "}", "{x", "[]", "3", '"text"', "null", "{ not json }", "-----"])
def test_line_that_is_not_an_event_is_logged(line: str) -> None:
    assert read_events([line])[1] == [line]


def test_broken_document_is_logged_and_the_next_is_read() -> None:
    reader, logged = read_events(["{", '  "vertexes": [', "}", *MANY_LINES])
    assert logged[0] == '{  "vertexes": [}'
    assert len(reader.steps) == 3


def test_output_of_steps_is_printed_only_if_verbose(capsys: pytest.CaptureFixture[str]) -> None:
    read_events([*ONE_LINE, *TAIL])
    assert capsys.readouterr().err == ""
    read_events(ONE_LINE, verbose=True)
    assert "runc run failed" in "".join(capsys.readouterr().err.split("\n"))


def test_several_logs_and_invalid_bytes_are_logged() -> None:
    logs = [{"data": base64.b64encode(data).decode()} for data in (b"one\n", b"two \xff\n", b"")]
    assert read_events([json.dumps({"logs": logs})])[1] == ["one\ntwo \ufffd"]


@pytest.mark.parametrize("event", [{}, {"vertexes": None, "logs": None}, {"logs": [{"data": None}]}])
def test_empty_event_logs_nothing(event: dict[str, Any]) -> None:
    assert read_events([json.dumps(event)])[1] == []


def test_step_name_is_one_readable_line() -> None:
    name = (
        "[packages 3/3] RUN --network=none --mount=type=bind,source=wheels,target=/wheels <<SHELL (set -eu...)\nset -eu"
    )
    assert buildx._shorten(name) == "[packages 3/3] RUN --network=none <<SHELL (set -eu...)"
    assert buildx._shorten("") == ""
    assert buildx._shorten("x" * 300) == "x" * 99 + "…"


@pytest.mark.parametrize(
    ("started", "completed", "seconds"),
    [
        ("2026-11-20T09:59:18Z", "2026-11-20T10:00:20Z", 62.0),
        ("2026-11-20T09:59:18.1Z", "2026-11-20T09:59:18.35Z", 0.25),
        ("2026-11-20T09:59:18.999999999Z", "2026-11-20T09:59:20.000000001Z", 1.000001),
        ("2026-11-20T10:59:18.5+01:00", "2026-11-20T09:59:19.5Z", 1.0),
        (None, "2026-11-20T09:59:19.5Z", 0.0),
    ],
)
def test_seconds_need_no_certain_precision(started: str | None, completed: str, seconds: float) -> None:
    assert buildx._count_seconds({"started": started, "completed": completed}) == pytest.approx(seconds, abs=1e-9)


def test_summary_lists_long_uncached_steps() -> None:
    steps = [BuildStep("a", 12.34, cached=False), BuildStep("b", 99.0, cached=True), BuildStep("c", 0.5, cached=False)]
    assert buildx.summarize_steps(steps) == [" 12.3 s  a"]
    assert len(buildx.summarize_steps(steps, least=0.1)) == 2
