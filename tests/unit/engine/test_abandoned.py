"""Containers of killed runs: recognized by the process that made them, and nothing else is removed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import Any

import pytest
from docker.errors import APIError

from armwright.engine import abandoned
from armwright.system.errors import FailedError

HOST = socket.gethostname()
NONE = "4194305"  # above the largest number that Linux gives a process


class FakeContainer:
    """A container with labels, which can be removed or not."""

    def __init__(self, labels: dict[str, str], refusal: int = 0) -> None:
        self.labels, self.refusal, self.removed = labels, refusal, False

    def remove(self, *, force: bool) -> None:
        assert force
        if self.refusal:
            response: Any = type("Response", (), {"status_code": self.refusal, "reason": "no"})()
            raise APIError("no", response, "it is busy")
        self.removed = True


class FakeClient:
    """A client of an engine that has some containers."""

    def __init__(self, *containers: FakeContainer) -> None:
        self._all, self.containers = list(containers), self

    def list(self, **options: object) -> list[FakeContainer]:
        assert options == {"all": True, "filters": {"label": abandoned.OWNER}, "ignore_removed": True}
        return self._all


def make(owner: str, refusal: int = 0) -> FakeContainer:
    return FakeContainer({abandoned.OWNER: owner}, refusal)


def test_a_container_of_this_process_is_not_abandoned() -> None:
    labels = abandoned.make_labels("smoke")
    assert labels[abandoned.PURPOSE] == "smoke"
    assert not abandoned.is_abandoned(labels)


def test_a_container_of_a_process_that_ended_is_abandoned() -> None:
    code = "from armwright.engine import abandoned; print(abandoned.make_labels('smoke')[abandoned.OWNER])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert abandoned.is_abandoned({abandoned.OWNER: done.stdout.strip()})


@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        ("HOST NONE 1", True),
        ("HOST OWN 1", True),  # the number was given to another process since
        ("another NONE 1", False),  # it may run there
        ("", False),
        ("HOST x 1", False),
        ("HOST", False),
    ],
)
def test_only_a_process_of_this_machine_is_known_to_have_ended(owner: str, *, expected: bool) -> None:
    for word, value in {"HOST": HOST, "NONE": NONE, "OWN": str(os.getpid())}.items():
        owner = owner.replace(word, value)
    assert abandoned.is_abandoned({abandoned.OWNER: owner}) is expected


def test_abandoned_containers_are_removed_and_others_stay() -> None:
    dead, own, foreign = make(f"{HOST} {NONE} 1"), FakeContainer(abandoned.make_labels("read")), FakeContainer({})
    client: Any = FakeClient(dead, own, foreign)
    assert abandoned.remove_abandoned(client) == 1
    assert (dead.removed, own.removed, foreign.removed) == (True, False, False)


@pytest.mark.parametrize("status", [404, 409])
def test_one_that_another_run_removes_is_no_failure(status: int) -> None:
    client: Any = FakeClient(make(f"{HOST} {NONE} 1", status))
    assert abandoned.remove_abandoned(client) == 1


def test_one_that_stays_is_named_with_the_cause() -> None:
    client: Any = FakeClient(make(f"{HOST} {NONE} 1", 500))
    with pytest.raises(FailedError, match="a killed run left stays: it is busy"):
        abandoned.remove_abandoned(client)
