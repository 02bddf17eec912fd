"""What setup plans for described machines; nothing here changes the machine that the tests run on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from armwright.cli.setup import make_root_command, run
from armwright.engine.address import EngineAddress
from armwright.engine.probe import EngineReading, NoEngineError
from armwright.host import actions, apt, binfmt, inspect, needs, setup
from armwright.host.actions import Action, Configure, Disable, Install, Mount, Register, Start, Write
from armwright.host.apt_sources import AptSource, render_source
from armwright.host.inspect import Host
from armwright.system.errors import MachineError

FACTS = needs.load_needs()
STORE_ON = '{"features": {"containerd-snapshotter": true}}'
GOOD = binfmt.BinfmtEntry("qemu-aarch64", enabled=True, interpreter="/usr/bin/qemu-aarch64", flags="POF")
SOURCE = AptSource("http://mirror.example/debian", ("bookworm",))
STOPPED = NoEngineError(EngineAddress(), forbidden=False)
BARE = Host(
    id="debian",
    version="12",
    title="Debian 12",
    root=True,
    source=SOURCE,
    silence=STOPPED,
)
READY = replace(
    BARE,
    engine=EngineReading("26.1.5", containerd_store=True, running=0, root=Path("/var/lib/docker")),
    silence=None,
    engine_package="docker.io",
    have={
        "engine": "26.1.5",
        "client": "28.2",
        "buildx": "0.13.1",
        "emulator": "10.0.2",
        "archive": "2.6.1",
        "registry": "2.8.2",
    },
    emulation=binfmt.Emulation(mounted=True, entries=(GOOD,), running="10.0.2", installed="10.0.2"),
    daemon_json=STORE_ON,
)


def plan(machine: Host) -> list[Action]:
    return [
        step.action for step in setup.plan_setup(machine, FACTS, needs.load_host_recipe(machine.id, machine.version))
    ]


def without(machine: Host, *names: str) -> Host:
    return replace(machine, have={name: version for name, version in machine.have.items() if name not in names})


def refusal(machine: Host) -> MachineError:
    with pytest.raises(MachineError) as caught:
        plan(machine)
    return caught.value


def test_complete_machine_needs_nothing() -> None:
    assert plan(READY) == []


def test_bare_machine_gets_everything_in_a_working_order() -> None:
    actions = plan(BARE)
    kinds = [type(action) for action in actions]
    assert kinds == [Write, Write, Write, Install, Disable, Mount, Register, Start]
    assert [action.path for action in actions if isinstance(action, Write)] == [
        inspect.DAEMON_JSON,
        apt.PREFERENCES,
        apt.SOURCES,
    ]
    assert isinstance(actions[0], Write)
    assert json.loads(actions[0].text) == json.loads(STORE_ON)
    assert actions[3] == Install(
        (
            *("docker.io", "containerd", "iptables", "docker-cli", "docker-buildx"),
            *("qemu-user", "qemu-user-binfmt", "debian-archive-keyring", "docker-registry"),
        )
    )


def test_every_step_has_a_text_and_a_reason() -> None:
    steps = setup.plan_setup(BARE, FACTS, needs.load_host_recipe("debian", "12"))
    assert all(step.text and step.why for step in steps)


def test_a_mirrors_password_stays_as_private_as_it_was() -> None:
    secret = AptSource("http://me:hush@mirror.example/debian", ("bookworm",), mode=0o600)
    written = {action.path: action for action in plan(replace(BARE, source=secret)) if isinstance(action, Write)}
    assert (written[apt.SOURCES].mode, written[apt.PREFERENCES].mode) == (0o600, 0o644)
    assert "hush" in written[apt.SOURCES].text


def test_added_suites_use_the_hosts_mirror_and_are_pinned() -> None:
    recipe = needs.load_host_recipe("debian", "12")
    assert recipe is not None
    assert "URIs: http://mirror.example/debian\nSuites: trixie bookworm-backports\n" in render_source(recipe, SOURCE)
    blocks = apt.render_preferences(recipe).split("\n\n")
    assert "Package: *\nPin: release n=trixie\nPin-Priority: -10" in blocks[0]
    assert (
        "Package: containerd docker-buildx docker-cli docker.io\nPin: release n=trixie\nPin-Priority: 600" in blocks[1]
    )
    assert not any("Package: *\nPin: release n=bookworm-backports" in block for block in blocks)


def test_only_missing_packages_and_needed_suites_are_added() -> None:
    assert plan(without(READY, "archive")) == [Install(("debian-archive-keyring",))]


def test_existing_apt_files_are_not_written_again() -> None:
    recipe = needs.load_host_recipe("debian", "12")
    assert recipe is not None
    files = {apt.SOURCES: render_source(recipe, SOURCE), apt.PREFERENCES: apt.render_preferences(recipe)}
    assert plan(replace(without(READY, "buildx"), files=files)) == [Install(("docker-buildx",))]


def test_host_without_a_source_of_its_release_is_refused() -> None:
    assert "bookworm" in refusal(replace(BARE, source=None)).what


def test_debian_13_and_ubuntu_24_04_have_plans() -> None:
    assert not any(
        isinstance(action, Write) and action.path == apt.SOURCES for action in plan(replace(BARE, version="13"))
    )
    ubuntu = replace(BARE, id="ubuntu", version="24.04")
    assert "Suites: resolute\n" in next(a.text for a in plan(ubuntu) if isinstance(a, Write) and a.path == apt.SOURCES)


def test_arm_host_gets_no_emulator() -> None:
    actions = plan(replace(BARE, machine="aarch64"))
    assert not any(isinstance(action, Mount | Register) for action in actions)
    assert not any("qemu" in name for action in actions if isinstance(action, Install) for name in action.packages)


def test_unknown_system_gets_a_list_with_versions() -> None:
    what = refusal(replace(BARE, id="fedora", version="42", title="Fedora 42")).what
    assert all(text in what for text in ("Fedora 42", "Docker Engine 23", "buildx plugin 0.13", "aarch64 10.0"))


def test_complete_unknown_system_needs_nothing() -> None:
    assert plan(replace(READY, id="fedora", version="42")) == []


def test_newer_engine_from_elsewhere_is_kept() -> None:
    newer = EngineReading("29.1.0", containerd_store=True, running=7, root=Path("/var/lib/docker"))
    machine = replace(
        READY, engine=newer, engine_package="docker-ce", daemon_json='{"broken', have={**READY.have, "engine": "29.1.0"}
    )
    assert plan(machine) == []
    assert plan(without(machine, "archive")) == [Install(("debian-archive-keyring",))]


def with_old_engine(package: str, running: int = 0) -> Host:
    engine = EngineReading("20.10.24", containerd_store=False, running=running, root=Path("/var/lib/docker"))
    return replace(
        READY, engine=engine, engine_package=package, daemon_json=None, have={**READY.have, "engine": "20.10.24"}
    )


def test_old_engine_of_the_distribution_is_upgraded() -> None:
    actions = plan(with_old_engine("docker.io"))
    assert Install(("docker.io", "containerd", "iptables")) in actions
    assert actions[-1] == Start(again=True)


def test_old_engine_from_elsewhere_is_not_replaced() -> None:
    assert "docker-ce" in refusal(with_old_engine("docker-ce")).what
    assert "not from a package" in refusal(with_old_engine("")).what


def test_old_engine_with_containers_is_not_replaced() -> None:
    assert "3 containers are running" in refusal(with_old_engine("docker.io", running=3)).what


def without_store(daemon_json: str | None, running: int = 0) -> Host:
    engine = EngineReading("26.1.5", containerd_store=False, running=running, root=Path("/var/lib/docker"))
    return replace(READY, engine=engine, daemon_json=daemon_json)


def test_image_store_is_enabled_and_other_settings_are_kept() -> None:
    write, start = plan(without_store('{"data-root": "/srv", "features": {"cdi": true}}'))
    assert isinstance(write, Write)
    assert json.loads(write.text) == {"data-root": "/srv", "features": {"cdi": True, "containerd-snapshotter": True}}
    assert start == Start(again=True)


def test_enabled_image_store_only_needs_a_restart() -> None:
    assert plan(without_store(STORE_ON)) == [Start(again=True)]


def test_engine_with_containers_is_not_restarted() -> None:
    error = refusal(without_store(None, running=2))
    assert "2 containers are running" in error.what
    assert error.next_step == "docker stop $(docker ps -q)"
    assert "containerd-snapshotter" in error.hint


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{\n  "data-root": "/srv",\n}', "daemon.json:3:1"),
        ("[]", "daemon.json:1:1"),
        ('{"features": 1}', "daemon.json:1:1"),
    ],
)
def test_unreadable_configuration_is_refused_with_its_place(text: str, place: str) -> None:
    assert place in refusal(without_store(text)).what


@pytest.mark.parametrize("text", [None, "", "\n", "{}"])
def test_empty_configuration_is_accepted(text: str | None) -> None:
    assert json.loads(setup.enable_image_store(text)) == json.loads(STORE_ON)


def test_installed_engine_that_is_silent_is_started() -> None:
    assert plan(replace(READY, engine=None, silence=STOPPED)) == [Start()]


def test_user_without_permission_gets_the_command() -> None:
    assert (
        "usermod"
        in refusal(
            replace(READY, engine=None, root=False, silence=NoEngineError(EngineAddress(), forbidden=True))
        ).next_step
    )


def test_silent_remote_engine_is_not_replaced_by_a_local_one() -> None:
    silence = NoEngineError(EngineAddress("tcp://far:2375", "DOCKER_HOST"), forbidden=False)
    refused = refusal(replace(READY, engine=None, silence=silence))
    assert "tcp://far:2375 (DOCKER_HOST)" in refused.what
    assert refused.next_step == "unset DOCKER_HOST"


def registered(*entries: binfmt.BinfmtEntry, running: str | None = "10.0.2", installed: str | None = "10.0.2") -> Host:
    return replace(
        READY, emulation=binfmt.Emulation(mounted=True, entries=entries, running=running, installed=installed)
    )


def test_entry_without_flag_f_is_replaced_and_named() -> None:
    machine = registered(replace(GOOD, flags="OC"))
    assert plan(machine) == [Register(("qemu-aarch64",))]
    assert "in place of qemu-aarch64" in setup.plan_setup(machine, FACTS, None)[0].text


def test_only_unusable_entries_are_removed() -> None:
    assert plan(registered(GOOD, replace(GOOD, name="other", flags=""))) == [Register(("other",))]


def test_old_registered_emulator_is_replaced() -> None:
    assert plan(registered(GOOD, running="7.2.1")) == [Register(("qemu-aarch64",))]


def test_emulator_of_unknown_version_is_kept() -> None:
    assert plan(registered(GOOD, running=None)) == []


def test_unregistered_emulator_is_mounted_and_registered() -> None:
    machine = replace(READY, emulation=binfmt.Emulation(installed="10.0.2"))
    assert plan(machine) == [Mount(), Register(())]


def test_interrupted_installation_is_finished_first() -> None:
    assert plan(replace(READY, unfinished=frozenset({"docker.io"}))) == [Configure()]
    assert plan(replace(without(READY, "archive"), journal=True)) == [Configure(), Install(("debian-archive-keyring",))]


def test_other_unfinished_packages_are_left_alone() -> None:
    assert plan(replace(READY, unfinished=frozenset({"texlive"}))) == []


def test_nothing_starts_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect, "inspect_host", lambda: replace(BARE, root=False))
    monkeypatch.setattr("armwright.cli.setup.perform", lambda action: pytest.fail(f"executed {action}"))
    with pytest.raises(MachineError, match="apt-get install") as caught:
        run()
    assert caught.value.next_step == "sudo ./inv setup"
    run(dry_run=True)


def test_root_gets_the_engine_of_the_user() -> None:
    assert make_root_command({"DOCKER_CONFIG": "/absent"}) == "sudo ./inv setup"
    environment = {"DOCKER_CONFIG": "/my folder", "DOCKER_HOST": "unix:///run/user/1000/docker.sock"}
    assert make_root_command(environment) == (
        "sudo env DOCKER_CONFIG='/my folder' DOCKER_HOST=unix:///run/user/1000/docker.sock ./inv setup"
    )


def test_storage_driver_of_the_old_store_is_not_combined() -> None:
    refused = refusal(without_store('{"storage-driver": "overlay2"}'))
    assert 'daemon.json sets "storage-driver": "overlay2"' in refused.what
    assert refused.next_step == "sudo editor /etc/docker/daemon.json"
    assert 'remove "storage-driver"' in refused.hint
    assert plan(without_store('{"storage-driver": "overlayfs"}'))[-1] == Start(again=True)


def elsewhere(**changes: Any) -> Host:  # noqa: ANN401 - fields of the reading
    address = EngineAddress("ssh://me@far", "DOCKER_HOST")
    reading = EngineReading("26.1.5", containerd_store=True, running=3, root=Path("/var/lib/docker"), address=address)
    return replace(READY, engine=replace(reading, **changes), daemon_json=None)


def test_engine_elsewhere_is_never_changed() -> None:
    assert plan(elsewhere()) == []
    assert plan(without(elsewhere(is_here=False), "archive", "emulator")) == [Install(("debian-archive-keyring",))]
    assert "does not use the containerd" in refusal(elsewhere(containerd_store=False)).what
    old = refusal(replace(elsewhere(version="20.10.24"), have={**READY.have, "engine": "20.10.24"}))
    assert "20.10.24 at ssh://me@far (DOCKER_HOST) is older than 23.0" in old.what
    assert old.next_step == "unset DOCKER_HOST"


def test_files_are_replaced_and_keep_their_mode(tmp_path: Path) -> None:
    file = tmp_path / "etc" / "daemon.json"
    actions.perform(Write(file, "{}"))
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("{}", 0o644)
    file.chmod(0o600)
    actions.perform(Write(file, "[]"))
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("[]", 0o600)
    assert [path.name for path in file.parent.iterdir()] == ["daemon.json"]
    secret = tmp_path / "secret"
    actions.perform(Write(secret, "x", 0o600))
    assert secret.stat().st_mode & 0o777 == 0o600
