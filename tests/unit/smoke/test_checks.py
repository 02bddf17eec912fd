"""The checks of a smoke run that need no framework, on invented readings."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import checks
import pytest
from machine import Machine

from tests.inside import IMAGE, N1, NUMERICS, RUN, TARGET, seen


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


UNCHANGED = "no variable that changes what is computed"


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, UNCHANGED),
        ({"OMP_NUM_THREADS": "4"}, UNCHANGED),
        ({"ONEDNN_DEFAULT_FPMATH_MODE": ""}, UNCHANGED),
        ({"ONEDNN_DEFAULT_FPMATH_MODE": "strict"}, UNCHANGED),
        ({"OPENBLAS_CORETYPE": "vortex"}, UNCHANGED),
        ({"ONEDNN_DEFAULT_FPMATH_MODE": "BF16"}, "ONEDNN_DEFAULT_FPMATH_MODE=BF16"),
        ({"ONEDNN_DEFAULT_FPMATH_MODE": "nonsense"}, "ONEDNN_DEFAULT_FPMATH_MODE=nonsense"),
        ({"OPENBLAS_CORETYPE": ""}, "OPENBLAS_CORETYPE="),
        (
            {"OPENBLAS_CORETYPE": "ARMV8", "ONEDNN_DEFAULT_FPMATH_MODE": "ANY"},
            "ONEDNN_DEFAULT_FPMATH_MODE=ANY, OPENBLAS_CORETYPE=ARMV8",
        ),
        ({"OPENBLAS_CORETYPE": "x" * 500}, f"OPENBLAS_CORETYPE={'x' * 80}"),
    ],
)
def test_variables_that_change_numbers_are_noticed(environ: dict[str, str], found: str) -> None:
    check = checks.precision(NUMERICS, environ)
    state = "pass" if found == UNCHANGED else "fail"
    assert check == {"name": "precision", "state": state, "expected": UNCHANGED, "found": found}


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
