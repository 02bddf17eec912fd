"""What setup decides to do, on machines that are only described; nothing here changes the machine it runs on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from armwright.cli import setup as command
from armwright.host import actions, apt, binfmt, inspect, needs, setup
from armwright.host.actions import Action, Configure, Install, Mount, Register, Start, Write
from armwright.host.actions import Disable
from armwright.host.inspect import EngineReading, Host
from armwright.system.errors import MachineError

FACTS = needs.load_needs()
STORE_ON = '{"features": {"containerd-snapshotter": true}}'
GOOD = binfmt.BinfmtEntry("qemu-aarch64", enabled=True, interpreter="/usr/bin/qemu-aarch64", flags="POF")
BARE = Host(
    id="debian",
    version="12",
    title="Debian 12",
    root=True,
    site="http://mirror.example/debian",
    silence="it does not run",
)
READY = replace(
    BARE,
    engine=EngineReading("26.1.5", containerd_store=True, running=0, root=Path("/var/lib/docker")),
    silence="",
    engine_package="docker.io",
    have={
        "engine": "26.1.5",
        "client": "28.2",
        "buildx": "0.13.1",
        "emulator": "10.0.2",
        "unpacker": "1.3.5",
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


def test_a_machine_that_has_everything_needs_nothing() -> None:
    assert plan(READY) == []


def test_a_bare_machine_gets_everything_in_an_order_that_works() -> None:
    done = plan(BARE)
    kinds = [type(action) for action in done]
    assert kinds == [Write, Write, Write, Install, Disable, Mount, Register, Start]
    assert [action.path for action in done if isinstance(action, Write)] == [
        inspect.DAEMON_JSON,
        apt.PREFERENCES,
        apt.SOURCES,
    ]
    assert json.loads(done[0].text) == json.loads(STORE_ON) if isinstance(done[0], Write) else False
    assert done[3] == Install(
        (
            *("docker.io", "containerd", "iptables", "docker-cli", "docker-buildx"),
            *("qemu-user", "qemu-user-binfmt", "mmdebstrap", "docker-registry"),
        )
    )


def test_every_step_says_what_and_why() -> None:
    steps = setup.plan_setup(BARE, FACTS, needs.load_host_recipe("debian", "12"))
    assert all(step.says and step.why for step in steps)


def test_the_added_suites_are_on_the_hosts_own_mirror_and_give_nothing_else() -> None:
    recipe = needs.load_host_recipe("debian", "12")
    assert recipe is not None
    assert "URIs: http://mirror.example/debian\nSuites: trixie bookworm-backports\n" in apt.render_sources(
        recipe, BARE.site or ""
    )
    blocks = apt.render_preferences(recipe).split("\n\n")
    assert "Package: *\nPin: release n=trixie\nPin-Priority: -10" in blocks[0]
    assert (
        "Package: containerd docker-buildx docker-cli docker.io\nPin: release n=trixie\nPin-Priority: 600" in blocks[1]
    )
    assert not any("Package: *\nPin: release n=bookworm-backports" in block for block in blocks)


def test_only_what_is_missing_is_installed_and_no_suite_is_added_for_the_releases_own_packages() -> None:
    assert plan(without(READY, "unpacker")) == [Install(("mmdebstrap",))]


def test_apt_files_that_are_there_already_are_not_written_again() -> None:
    recipe = needs.load_host_recipe("debian", "12")
    assert recipe is not None
    files = {apt.SOURCES: apt.render_sources(recipe, BARE.site or ""), apt.PREFERENCES: apt.render_preferences(recipe)}
    assert plan(replace(without(READY, "buildx"), files=files)) == [Install(("docker-buildx",))]


def test_a_host_without_a_source_of_its_release_is_refused() -> None:
    assert "bookworm" in refusal(replace(BARE, site=None)).what


def test_debian_13_and_ubuntu_24_04_have_plans() -> None:
    assert not any(
        isinstance(action, Write) and action.path == apt.SOURCES for action in plan(replace(BARE, version="13"))
    )
    ubuntu = replace(BARE, id="ubuntu", version="24.04")
    assert "Suites: resolute\n" in next(a.text for a in plan(ubuntu) if isinstance(a, Write) and a.path == apt.SOURCES)


def test_an_arm_host_gets_no_emulator() -> None:
    done = plan(replace(BARE, machine="aarch64"))
    assert not any(isinstance(action, Mount | Register) for action in done)
    assert not any("qemu" in name for action in done if isinstance(action, Install) for name in action.packages)


def test_an_unknown_system_is_told_what_to_install_with_versions() -> None:
    told = refusal(replace(BARE, id="fedora", version="42", title="Fedora 42")).what
    assert all(words in told for words in ("Fedora 42", "Docker Engine 23", "buildx plugin 0.13", "aarch64 10.0"))


def test_an_unknown_system_that_has_everything_needs_nothing() -> None:
    assert plan(replace(READY, id="fedora", version="42")) == []


def test_somebody_elses_newer_engine_is_left_alone() -> None:
    newer = EngineReading("29.1.0", containerd_store=True, running=7, root=Path("/var/lib/docker"))
    machine = replace(
        READY, engine=newer, engine_package="docker-ce", daemon_json='{"broken', have={**READY.have, "engine": "29.1.0"}
    )
    assert plan(machine) == []
    assert plan(without(machine, "unpacker")) == [Install(("mmdebstrap",))]


def old(package: str, running: int = 0) -> Host:
    engine = EngineReading("20.10.24", containerd_store=False, running=running, root=Path("/var/lib/docker"))
    return replace(
        READY, engine=engine, engine_package=package, daemon_json=None, have={**READY.have, "engine": "20.10.24"}
    )


def test_the_distributions_own_old_engine_is_upgraded_and_restarted() -> None:
    done = plan(old("docker.io"))
    assert Install(("docker.io", "containerd", "iptables")) in done
    assert done[-1] == Start(again=True)


def test_an_old_engine_from_elsewhere_is_not_replaced() -> None:
    assert "docker-ce" in refusal(old("docker-ce")).what
    assert "not from a package" in refusal(old("")).what


def test_an_old_engine_at_work_is_not_replaced() -> None:
    assert "3 containers run" in refusal(old("docker.io", running=3)).what


def without_store(daemon_json: str | None, running: int = 0) -> Host:
    engine = EngineReading("26.1.5", containerd_store=False, running=running, root=Path("/var/lib/docker"))
    return replace(READY, engine=engine, daemon_json=daemon_json)


def test_the_image_store_is_switched_on_and_the_rest_of_the_configuration_kept() -> None:
    write, start = plan(without_store('{"data-root": "/srv", "features": {"cdi": true}}'))
    assert isinstance(write, Write)
    assert json.loads(write.text) == {"data-root": "/srv", "features": {"cdi": True, "containerd-snapshotter": True}}
    assert start == Start(again=True)


def test_a_configuration_that_has_the_store_on_already_only_needs_the_restart() -> None:
    assert plan(without_store(STORE_ON)) == [Start(again=True)]


def test_an_engine_at_work_is_not_restarted() -> None:
    problem = refusal(without_store(None, running=2))
    assert "2 containers run" in problem.what
    assert "containerd-snapshotter" in problem.next_step


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{\n  "data-root": "/srv",\n}', "daemon.json:3:1"),
        ("[]", "daemon.json:1:1"),
        ('{"features": 1}', "daemon.json:1:1"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_refused_with_its_place(text: str, place: str) -> None:
    assert place in refusal(without_store(text)).what


@pytest.mark.parametrize("text", [None, "", "\n", "{}"])
def test_an_empty_configuration_is_no_mistake(text: str | None) -> None:
    assert json.loads(setup.enable_image_store(text)) == json.loads(STORE_ON)


def test_an_engine_that_is_installed_but_silent_is_started() -> None:
    assert plan(replace(READY, engine=None, silence="it does not run")) == [Start()]


def test_a_user_who_may_not_talk_to_the_engine_is_told_how() -> None:
    assert "usermod" in refusal(replace(READY, engine=None, root=False, forbidden=True)).next_step


def test_a_remote_engine_that_is_silent_is_not_replaced_by_a_local_one() -> None:
    assert "tcp://far:2375" in refusal(replace(READY, engine=None, remote="tcp://far:2375")).what


def registered(*entries: binfmt.BinfmtEntry, running: str | None = "10.0.2", installed: str | None = "10.0.2") -> Host:
    return replace(
        READY, emulation=binfmt.Emulation(mounted=True, entries=entries, running=running, installed=installed)
    )


def test_an_entry_without_flag_f_is_replaced_and_said_so() -> None:
    machine = registered(replace(GOOD, flags="OC"))
    assert plan(machine) == [Register(("qemu-aarch64",))]
    assert "in place of qemu-aarch64" in setup.plan_setup(machine, FACTS, None)[0].says


def test_of_several_entries_only_those_that_do_not_serve_go() -> None:
    assert plan(registered(GOOD, replace(GOOD, name="other", flags=""))) == [Register(("other",))]


def test_a_registered_emulator_that_is_too_old_is_replaced() -> None:
    assert plan(registered(GOOD, running="7.2.1")) == [Register(("qemu-aarch64",))]


def test_a_registered_emulator_that_does_not_tell_its_version_is_left_alone() -> None:
    assert plan(registered(GOOD, running=None)) == []


def test_an_installed_emulator_that_is_not_registered_is_mounted_and_registered() -> None:
    machine = replace(READY, emulation=binfmt.Emulation(installed="10.0.2"))
    assert plan(machine) == [Mount(), Register(())]


def test_an_interrupted_installation_is_finished_first() -> None:
    assert plan(replace(READY, unfinished=frozenset({"docker.io"}))) == [Configure()]
    assert plan(replace(without(READY, "unpacker"), journal=True)) == [Configure(), Install(("mmdebstrap",))]


def test_a_package_that_is_none_of_ours_is_left_half_done() -> None:
    assert plan(replace(READY, unfinished=frozenset({"texlive"}))) == []


def test_without_root_nothing_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect, "inspect_host", lambda: replace(BARE, root=False))
    monkeypatch.setattr(command, "perform", lambda action: pytest.fail(f"did {action}"))
    with pytest.raises(MachineError, match="apt-get install") as caught:
        command.run()
    assert caught.value.next_step == "sudo ./inv setup"
    command.run(dry_run=True)


def test_files_are_replaced_whole_and_keep_their_mode(tmp_path: Path) -> None:
    file = tmp_path / "etc" / "daemon.json"
    actions.perform(Write(file, "{}"))
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("{}", 0o644)
    file.chmod(0o600)
    actions.perform(Write(file, "[]"))
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("[]", 0o600)
    assert [path.name for path in file.parent.iterdir()] == ["daemon.json"]
