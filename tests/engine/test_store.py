"""The engine's store and its containers, for real."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from docker.errors import NotFound

from armwright.engine.client import Engine
from armwright.engine.containers import PLATFORM
from armwright.system.errors import FailedError, InputError, MachineError

Docker = Callable[..., str]


def test_silent_engine_names_the_command_that_leaves_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(MachineError, match=r"no Docker Engine answers at unix:.*; nothing was started") as refused:
        Engine()
    assert (refused.value.code, refused.value.next_step) == (3, "unset DOCKER_HOST")


def test_absent_name_is_none(engine: Engine, name: str) -> None:
    assert engine.find(name) is None
    assert engine.find("sha256:" + "0" * 64) is None


@pytest.mark.parametrize("garbage", ["No Such:Thing!", "-", "a:b:c:d", "../x", "../containers/x"])
def test_invalid_reference_is_an_input_error(engine: Engine, garbage: str) -> None:
    with pytest.raises(InputError, match="not an image reference") as refused:
        engine.find(garbage)
    assert refused.value.next_step == "docker images"


def test_image_without_labels_is_found_by_name_and_digest(
    engine: Engine, docker: Docker, name: str, tiny_tar: bytes
) -> None:
    docker("import", "--platform", PLATFORM, "-", name, given=tiny_tar)
    image = engine.find(name)
    assert image is not None
    assert (image.labels, image.platform) == ({}, PLATFORM)
    assert image.digest == docker("image", "inspect", "--format", "{{.Id}}", name)
    assert image.compressed > 0
    assert image.unpacked > 0
    assert engine.find(image.digest) == image


def test_names_come_and_go_and_the_image_stays(engine: Engine, docker: Docker, name: str, tiny_tar: bytes) -> None:
    docker("import", "--platform", PLATFORM, "-", name, given=tiny_tar)
    image = engine.find(name)
    assert image is not None
    for other in (f"{name}-more", f"127.0.0.1:5999/{name}"):
        engine.tag(name, other)
        assert engine.names()[other] == image.digest
        engine.untag(other)
        engine.untag(other)
        assert other not in engine.names()
    assert engine.names()[name] == image.digest


def test_name_moves_to_another_image(engine: Engine, docker: Docker, name: str, tiny_tar: bytes) -> None:
    docker("import", "--platform", PLATFORM, "-", name, given=tiny_tar)
    docker("import", "--platform", PLATFORM, "--change", "LABEL one=1", "-", f"{name}-new", given=tiny_tar)
    engine.tag(f"{name}-new", name)
    moved = engine.find(name)
    assert moved is not None
    assert moved.labels == {"one": "1"}


PROBE = """
echo "net: $(echo /sys/class/net/*)"
while read -r line; do case $line in CapEff*|NoNewPrivs*) echo "$line";; esac; done < /proc/self/status
touch /file || echo refused
echo "var: $ARMWRIGHT_TEST"
echo aside >&2
exit 7
"""


def test_container_has_no_network_privileges_or_writable_files(engine: Engine, shell: str) -> None:
    ran = engine.run(shell, ["sh", "-c", PROBE], {"ARMWRIGHT_TEST": "a b"}, timeout=60)
    assert ran.code == 7
    assert ran.out.splitlines() == [
        "net: /sys/class/net/lo",
        "CapEff:\t0000000000000000",
        "NoNewPrivs:\t1",
        "refused",
        "var: a b",
    ]
    assert "Read-only file system" in ran.err
    assert ran.err.endswith("aside\n")


def test_container_that_does_not_end_is_killed_and_removed(engine: Engine, docker: Docker, shell: str) -> None:
    started = time.monotonic()
    with pytest.raises(FailedError, match="did not finish within 2 s"):
        engine.run(shell, ["sleep", "600"], {}, timeout=2)
    assert time.monotonic() - started < 20
    assert docker("ps", "--all", "--quiet", "--filter", f"ancestor={shell}") == ""


def test_absent_program_is_an_error_and_leaves_no_container(engine: Engine, docker: Docker, shell: str) -> None:
    with pytest.raises(FailedError, match="no-such-program"):
        engine.run(shell, ["no-such-program"], {}, timeout=60)
    assert docker("ps", "--all", "--quiet", "--filter", f"ancestor={shell}") == ""


def test_program_that_gets_a_fatal_signal_ends_at_once(engine: Engine, shell: str) -> None:
    assert engine.run(shell, ["sh", "-c", "kill -ILL $$; echo alive"], {}, timeout=60).code == 128 + signal.SIGILL


def test_container_of_an_absent_image_is_an_error(engine: Engine, name: str) -> None:
    with pytest.raises(FailedError, match="could not be created"):
        engine.run(name, ["true"], {}, timeout=60)


def test_names_are_read_again_if_an_image_goes_meanwhile(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([False, True])

    def list_images() -> object:
        if not next(answers):
            raise NotFound("content digest sha256:0: not found")
        return [{"Id": "sha256:1", "RepoTags": ["a:1", "b:1"]}, {"Id": "sha256:2", "RepoTags": None}]

    monkeypatch.setattr(engine._api, "images", list_images)
    assert engine.names() == {"a:1": "sha256:1", "b:1": "sha256:1"}
