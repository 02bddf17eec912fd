"""The checks of a smoke run that need no framework, on invented readings."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import checks
import pytest
from machine import Machine

from tests.inside import FAST_MATH, IMAGE, N1, RUN, TARGET, seen


def test_the_floor_names_what_is_missing() -> None:
    assert checks.floor(TARGET, N1)["state"] == "pass"
    below = checks.floor(TARGET, seen("0x41:0xd08", features=frozenset({"fp", "asimd"})))
    assert (below["state"], below["found"]) == ("fail", "missing: asimddp atomics")


@pytest.mark.parametrize(
    ("target", "machine", "state"),
    [
        ({}, N1, "pass"),
        ({}, seen("0x41:0xd40"), "fail"),
        ({}, seen("0x41:0xd0c", "0x41:0xd40"), "fail"),
        ({}, seen(), "fail"),  # a part that is not shown proves nothing
        ({"parts": ["*"]}, seen(), "pass"),
        ({"parts": ["0x41:0xd0c", "0x41:0xd40"]}, seen("0x41:0xd0c", "0x41:0xd40"), "pass"),
        ({"vector_bytes": 64}, seen("0x41:0xd0c", vectors=64), "pass"),
        ({"vector_bytes": 64}, seen("0x41:0xd0c", vectors=16), "fail"),
        ({"vector_bytes": 64}, N1, "fail"),
    ],
)
def test_the_cpu_must_be_the_one_that_is_meant(target: dict[str, Any], machine: Machine, state: str) -> None:
    assert checks.meant_cpu({**TARGET, **target}, machine)["state"] == state


@pytest.mark.parametrize(("uid", "state"), [(1000, "pass"), (0, "fail")])
def test_root_is_never_right(monkeypatch: pytest.MonkeyPatch, uid: int, state: str) -> None:
    monkeypatch.setattr("os.getuid", lambda: uid)
    assert (checks.unprivileged()["state"], checks.unprivileged()["found"]) == (state, f"uid {uid}")


def test_a_changed_and_a_missing_file_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "HOME", tmp_path)
    digests = {}
    for name in ("a.py", "smoke/b.npz", "smoke/c.npz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
        digests[name] = hashlib.sha256(name.encode()).hexdigest()
    assert checks.files(digests)["state"] == "pass"
    (tmp_path / "smoke/b.npz").write_bytes(b"smoke/b.npy")
    (tmp_path / "smoke/c.npz").unlink()
    wrong = checks.files(digests)
    assert (wrong["state"], wrong["found"]) == ("fail", "changed: smoke/b.npz, smoke/c.npz")


@pytest.mark.parametrize(
    ("value", "state", "found"),
    [
        (None, "pass", "full fp32"),
        ("", "pass", "full fp32"),
        ("STRICT", "pass", "full fp32"),
        ("strict", "pass", "full fp32"),
        ("BF16", "fail", f"{FAST_MATH['name']}=BF16"),
        ("any", "fail", f"{FAST_MATH['name']}=any"),
        ("nonsense", "fail", f"{FAST_MATH['name']}=nonsense"),
    ],
)
def test_a_variable_that_makes_fp32_less_precise_is_noticed(value: str | None, state: str, found: str) -> None:
    environ = {} if value is None else {FAST_MATH["name"]: value}
    (check,) = checks.precision(FAST_MATH, environ)
    assert (check["name"], check["state"], check["found"]) == ("precision", state, found)
    assert check["expected"] == "full fp32"


def test_an_image_that_knows_no_fast_math_has_no_such_check() -> None:
    assert checks.precision(None, {FAST_MATH["name"]: "BF16"}) == []


def test_each_version_is_compared_and_a_missing_one_fails() -> None:
    states = {check["name"]: check["state"] for check in checks.versions(IMAGE, {"torch": "2.10.0", "oneDNN": "3.7.2"})}
    assert states == {"version torch": "pass", "version oneDNN": "fail", "version python": "pass"}
    missing = checks.versions({**IMAGE, "python": "2.7"}, {"oneDNN": "3.7.1"})
    assert [check["state"] for check in missing] == ["fail", "pass", "fail"]
    assert missing[0]["found"] == "not found"


@pytest.mark.parametrize(
    ("changes", "value", "answers", "metric"),
    [
        ({}, 0.97, "pass", "pass"),
        ({"worst": 1.0}, 0.98, "pass", "pass"),
        ({"worst": 1.01}, 0.98, "fail", "pass"),
        ({"worst": float("inf")}, 0.98, "fail", "pass"),
        ({"worst": float("nan")}, 0.98, "fail", "pass"),
        ({}, 0.96, "pass", "fail"),
        ({}, float("nan"), "pass", "fail"),
    ],
)
def test_answers_are_right_number_by_number_and_by_the_metric(
    changes: dict[str, float], value: float, answers: str, metric: str
) -> None:
    measured = {"name": "precision at 0.5", "value": value, "minimum": 0.97}
    rows = checks.grade({**RUN, "workload": "detector", "dtype": "bf16", **changes, "metric": measured})
    assert [(check["name"], check["state"]) for check in rows] == [
        ("answers detector bf16", answers),
        ("precision at 0.5 detector bf16", metric),
    ]
