"""What `docker run` answers, on made-up machines and with a made-up exec."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import entrypoint
import machine
import pytest

from tests.unit.image.test_machine import ARM_MODALIAS, V2_MOUNT, X86_MODALIAS, cpuinfo, plant

IMAGE: dict[str, Any] = {
    "schema": 1,
    "combo": "pytorch-2.10.0-n1-acl",
    "dialect": "pytorch",
    "title": "PyTorch 2.10.0",
    "module": "torch",
    "version": "2.10.0",
    "target": {
        "name": "n1",
        "title": "Arm Neoverse N1",
        "floor": ["asimd", "atomics", "asimddp", "asimdhp", "fphp"],
        "parts": ["0x41:0xd0c"],
        "emulator": "neoverse-n1",
    },
    "backend": {
        "name": "acl",
        "title": "oneDNN with the Arm Compute Library",
        "versions": {"oneDNN": "3.7.1", "Arm Compute Library": "52.6.0"},
    },
    "python": "3.13",
    "base": "debian-13",
    "provider": "wheel",
    "fallbacks": [
        {"target": "thunderx2", "floor": ["asimd", "atomics"], "image": "pytorch:2.10.0-thunderx2-acl"},
        {"target": "generic", "floor": ["asimd", "fp"], "image": "pytorch:2.9.1-generic-acl"},
    ],
    "environment": [
        {
            "name": "OMP_NUM_THREADS", "value": "{cpus}", "fixed": False,
            "reason": "one thread for each CPU the container may use",
        },
        {"name": "LRU_CACHE_CAPACITY", "value": "1024", "fixed": False, "reason": "keeps prepared primitives"},
    ],
    "fast_math": {
        "name": "ONEDNN_DEFAULT_FPMATH_MODE",
        "value": "BF16",
        "feature": "bf16",
        "reason": "bfloat16 products of float32 matrices",
    },
    "dtypes": [{"name": "fp32", "state": "fast", "note": "through the Arm Compute Library"}],
    "smoke": {"anything": "else"},
    "packages": {"torch": "2.10.0", "numpy": "2.5.5"},
}  # fmt: skip
REFUSAL_ON_A72 = (
    "This image is for Arm Neoverse N1 and needs atomics (large-system atomics), asimddp (dot product), asimdhp "
    "(half-precision vectors) and fphp (half-precision scalars), which this CPU (Arm Cortex-A72) does not have; "
    "pytorch:2.9.1-generic-acl runs here."
)


class Container:
    """One container: its image.json, its machine, and what it was seen to do."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.image = copy.deepcopy(IMAGE)
        self.image_file = folder / "image.json"
        self.root = folder / "root"
        self.capsys = capsys
        self.became: list[str] = []
        self.environ: dict[str, str] = {}
        self.failure: OSError | None = None
        self.cpu("neoverse-n1")
        self.quota("250000 100000")
        plant(self.root, {"sys/devices/system/cpu/modalias": ARM_MODALIAS})

    def cpu(self, *names: str) -> None:
        plant(self.root, {"proc/cpuinfo": cpuinfo(*names)})

    def quota(self, limit: str) -> None:
        mountinfo = V2_MOUNT.format(subtree="/", folder="")
        plant(self.root, {"proc/self/mountinfo": mountinfo, "sys/fs/cgroup/cpu.max": limit})

    def run(self, *arguments: str, **environ: str) -> tuple[int, str, str]:
        """Return the exit code, standard output and standard error."""
        if not self.image_file.exists():
            self.image_file.write_text(json.dumps(self.image), encoding="utf-8")
        code = entrypoint.main(arguments, environ, self.root, self.execute, self.image_file)
        return code, *self.capsys.readouterr()

    def execute(self, file: str, arguments: list[str], environ: dict[str, str]) -> None:
        assert file == arguments[0]
        if self.failure:
            raise self.failure
        self.became, self.environ = arguments, environ


def install(folder: Path, **changes: Any) -> Path:  # noqa: ANN401 - fields of a JSON document
    """Put the entrypoint's files into a folder, as an image for this machine's architecture that needs no feature."""
    folder.mkdir()
    for path in Path(entrypoint.__file__).parent.glob("*.py"):
        shutil.copy(path, folder)
    edited = folder / "machine.py"
    text = edited.read_text(encoding="utf-8")
    assert 'ARCHITECTURE = "aarch64"' in text
    edited.write_text(text.replace('"aarch64"', repr(os.uname().machine)), encoding="utf-8")
    image = {**copy.deepcopy(IMAGE), "target": {**IMAGE["target"], "floor": []}, **changes}
    (folder / "image.json").write_text(json.dumps(image), encoding="utf-8")
    return folder


@pytest.fixture
def container(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Container:
    monkeypatch.setattr(machine, "architecture", lambda: "aarch64")
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    return Container(tmp_path, capsys)


@pytest.mark.parametrize("arguments", [(), ("info",)])
def test_without_a_command_one_screen_describes_the_image(container: Container, arguments: tuple[str, ...]) -> None:
    code, page, errors = container.run(*arguments, PATH="/bin")
    assert (code, errors, container.became) == (0, "", [])
    for expected in (
        "PyTorch 2.10.0 for Arm Neoverse N1",
        "oneDNN with the Arm Compute Library (oneDNN 3.7.1, Arm Compute Library 52.6.0)",
        "Arm Neoverse N1 (0x41:0xd0c), not emulated",
        "asimd atomics fphp asimdhp asimddp; missing: i8mm bf16 sve sve2",
        "NEON, 16 bytes",
        "3: cgroup quota 2.5 CPUs, rounded up; the machine has 16",
        "OMP_NUM_THREADS=3",
        "set: one thread for each CPU",
        "not set: it changes results; enable it with ARMWRIGHT_BF16=1",
        "docker run IMAGE smoke",
        "docker run -it IMAGE python3",
    ):
        assert expected in page
    lines = page.splitlines()
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 100


def test_a_long_list_of_packages_stays_on_the_screen(container: Container) -> None:
    container.image["packages"] = {f"package-{number}": f"{number}.0" for number in range(60)}
    _, page, _ = container.run()
    assert len(page.splitlines()) <= 30


def test_info_says_if_the_cpu_is_emulated(container: Container) -> None:
    plant(container.root, {"sys/devices/system/cpu/modalias": X86_MODALIAS})
    assert "(0x41:0xd0c), emulated by QEMU as neoverse-n1\n" in container.run("info", QEMU_CPU="neoverse-n1")[1]
    assert "(0x41:0xd0c), emulated by QEMU\n" in container.run("info")[1]
    (container.root / "sys/devices/system/cpu/modalias").unlink()
    assert "may be emulated" in container.run("info")[1]


def test_an_emulator_without_a_chosen_cpu_gets_a_warning(container: Container) -> None:
    plant(container.root, {"sys/devices/system/cpu/modalias": X86_MODALIAS})
    assert "-e QEMU_CPU=neoverse-n1 emulates the CPU that this image was tested on" in container.run("python3")[2]
    assert container.run("python3", QEMU_CPU="neoverse-n1")[2] == ""
    assert container.run("python3", ARMWRIGHT_QUIET="1")[2] == ""
    (container.root / "sys/devices/system/cpu/modalias").unlink()
    assert container.run("python3")[2] == ""


def test_info_says_when_the_image_is_tuned_for_another_cpu(container: Container) -> None:
    assert "not the CPU" not in container.run("info")[1]
    container.cpu("neoverse-v1")
    assert "not the CPU this image is tuned for (Arm Neoverse N1)" in container.run("info")[1]


def test_a_target_may_name_all_parts_of_a_vendor(container: Container) -> None:
    container.image["target"]["parts"] = ["0x00:0x000", "0x41:*"]
    assert "not the CPU" not in container.run("info")[1]
    container.cpu("a64fx")
    assert "not the CPU" in container.run("info")[1]


def test_info_for_programs_is_one_json_document(container: Container) -> None:
    code, text, errors = container.run("info", "--json", OMP_NUM_THREADS="9")
    document = json.loads(text)
    assert (code, errors) == (0, "")
    assert document["refusal"] is None
    assert document["image"]["combo"] == "pytorch-2.10.0-n1-acl"
    assert document["machine"]["cpus"]["number"] == 3
    assert document["machine"]["emulation"] == {"emulated": False, "name": "", "model": ""}
    assert "asimddp" in document["machine"]["features"]
    assert [choice["origin"] for choice in document["choices"]] == ["kept", "set", "not set"]


def test_info_below_the_floor_starts_with_the_refusal(container: Container) -> None:
    container.cpu("cortex-a72")
    code, page, _ = container.run()
    assert code == 78
    assert page.startswith(REFUSAL_ON_A72 + "\n")
    assert "Arm Cortex-A72 (0x41:0xd08)" in page
    assert "OMP_NUM_THREADS=3" in page
    code, text, _ = container.run("info", "--json")
    assert (code, json.loads(text)["refusal"]) == (78, REFUSAL_ON_A72)


@pytest.mark.parametrize("arguments", [("python3",), ("smoke",), ("exec", "info"), ("--", "sh")])
def test_a_cpu_below_the_floor_is_refused_before_anything_runs(
    container: Container, arguments: tuple[str, ...]
) -> None:
    container.cpu("neoverse-n1", "cortex-a72")
    code, output, errors = container.run(*arguments, ARMWRIGHT_QUIET="1")
    named = REFUSAL_ON_A72.replace("(Arm Cortex-A72)", "(Arm Neoverse N1 + Arm Cortex-A72)")
    assert (code, output, errors) == (78, "", f"armwright: {named}\n")
    assert container.became == []


def test_the_first_image_that_fits_is_named(container: Container) -> None:
    container.cpu("thunderx2")
    assert "; pytorch:2.10.0-thunderx2-acl runs here." in container.run("true")[2]


def test_a_cpu_that_no_image_fits_is_reported(container: Container) -> None:
    container.image["fallbacks"] = []
    container.cpu("a64fx")
    expected = (
        "needs asimddp (dot product), which this CPU (Fujitsu A64FX) does not have; "
        "none of the images it lists as fallbacks runs here."
    )
    assert expected in container.run("true")[2]


def test_another_architecture_is_refused(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "architecture", lambda: "armv8l")
    code, _, errors = container.run("true")
    assert code == 78
    assert errors == (
        "armwright: This image is for Arm Neoverse N1 and needs an aarch64 machine; this machine is armv8l.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (("python3", "-c", "print(1)"), ["python3", "-c", "print(1)"]),
        (("exec", "info"), ["info"]),
        (("exec", "--", "smoke"), ["smoke"]),
        (("exec", "exec"), ["exec"]),
        (("--", "info", "--json"), ["info", "--json"]),
        (("exec", "--help"), ["--help"]),
        (("sh", "--", "x"), ["sh", "--", "x"]),
        (("informer",), ["informer"]),
        (("",), [""]),
    ],
)
def test_anything_else_is_executed_as_given(
    container: Container, arguments: tuple[str, ...], command: list[str]
) -> None:
    assert container.run(*arguments) == (0, "", "")
    assert container.became == command


def test_smoke_runs_the_script_beside_the_entrypoint(container: Container) -> None:
    assert container.run("smoke", "--help", "x") == (0, "", "")
    script = Path(entrypoint.__file__).parent / "smoke/smoke.py"
    assert container.became == [sys.executable, "-I", str(script), "--help", "x"]
    assert container.environ["OMP_NUM_THREADS"] == "3"


@pytest.mark.parametrize(
    ("arguments", "code"), [(("--help",), 0), (("-h",), 0), (("--json",), 2), (("-x",), 2), (("-",), 2)]
)
def test_an_option_in_place_of_a_command_brings_the_help(
    container: Container, arguments: tuple[str, ...], code: int
) -> None:
    container.image_file.write_text("damaged", encoding="utf-8")
    answer, output, errors = container.run(*arguments)
    text, silence = (output, errors) if code == 0 else (errors, output)
    assert (answer, silence) == (code, "")
    assert "docker run IMAGE smoke" in text
    assert "ARMWRIGHT_EXPLAIN=1" in text


@pytest.mark.parametrize("arguments", [("exec",), ("exec", "--"), ("--",), ("info", "me"), ("info", "--json", "x")])
def test_wrong_arguments_get_one_sentence(container: Container, arguments: tuple[str, ...]) -> None:
    code, output, errors = container.run(*arguments)
    assert (code, output, errors.count("\n")) == (2, "", 1)


def test_only_what_the_user_has_not_set_is_set(container: Container) -> None:
    container.run("true", OMP_NUM_THREADS="", PATH="/bin")
    assert container.environ == {
        "OMP_NUM_THREADS": "",
        "PATH": "/bin",
        "LRU_CACHE_CAPACITY": "1024",
        "ARMWRIGHT_STARTED": "1",
    }
    assert "OMP_NUM_THREADS=" in container.run("info", OMP_NUM_THREADS="")[1]


def test_only_a_value_other_than_the_images_is_the_users_choice(container: Container) -> None:
    container.image["environment"][1]["fixed"] = True
    for value, message in (
        ("1024", "set, keeps prepared primitives"),
        ("5", "kept, it was already in the environment"),
    ):
        errors = container.run("true", ARMWRIGHT_EXPLAIN="1", LRU_CACHE_CAPACITY=value)[2]
        assert f"armwright: LRU_CACHE_CAPACITY={value}: {message}" in errors.splitlines()


def test_explaining_says_each_choice_on_standard_error(container: Container) -> None:
    why = "one thread for each CPU the container may use (cgroup quota 2.5 CPUs, rounded up; the machine has 16)"
    code, output, errors = container.run("true", ARMWRIGHT_EXPLAIN="1", LRU_CACHE_CAPACITY="5")
    assert (code, output) == (0, "")
    assert errors.splitlines() == [
        f"armwright: OMP_NUM_THREADS=3: set, {why}",
        "armwright: LRU_CACHE_CAPACITY=5: kept, it was already in the environment",
        "armwright: ONEDNN_DEFAULT_FPMATH_MODE: not set, it changes results; enable it with ARMWRIGHT_BF16=1",
    ]


def test_quiet_is_stronger_than_explaining(container: Container) -> None:
    switches = {"ARMWRIGHT_EXPLAIN": "1", "ARMWRIGHT_QUIET": "1", "ARMWRIGHT_BF16": "1"}
    assert container.run("true", **switches) == (0, "", "")
    assert container.became == ["true"]


def test_fast_math_is_set_if_requested_and_the_cpu_has_it(container: Container) -> None:
    container.cpu("neoverse-v1")
    assert container.run("true", ARMWRIGHT_BF16="0") == (0, "", "")
    assert "ONEDNN_DEFAULT_FPMATH_MODE" not in container.environ
    assert container.run("true", ARMWRIGHT_BF16="1") == (0, "", "")
    assert container.environ["ONEDNN_DEFAULT_FPMATH_MODE"] == "BF16"
    container.run("true", ARMWRIGHT_BF16="1", ONEDNN_DEFAULT_FPMATH_MODE="STRICT")
    assert container.environ["ONEDNN_DEFAULT_FPMATH_MODE"] == "STRICT"


def test_fast_math_on_a_cpu_without_it_only_gets_a_warning(container: Container) -> None:
    code, output, errors = container.run("true", ARMWRIGHT_BF16="1")
    assert (code, output, container.became) == (0, "", ["true"])
    assert errors == "armwright: ARMWRIGHT_BF16=1 has no effect: this CPU has no bf16.\n"
    assert "ONEDNN_DEFAULT_FPMATH_MODE" not in container.environ


def test_fast_math_in_an_image_without_it_only_gets_a_warning(container: Container) -> None:
    container.image.update(fast_math=None, environment=[])
    _, _, errors = container.run("true", ARMWRIGHT_BF16="1")
    assert errors == "armwright: ARMWRIGHT_BF16=1 has no effect: this image has no bf16 fast math.\n"
    assert "this image sets no variable" in container.run("info")[1]


@pytest.mark.parametrize("name", ["ARMWRIGHT_BF16", "ARMWRIGHT_QUIET", "ARMWRIGHT_EXPLAIN"])
def test_a_switch_that_is_neither_on_nor_off_stops_the_start(container: Container, name: str) -> None:
    code, output, errors = container.run("true", **{name: "yes\n"})
    assert (code, output, container.became) == (2, "", [])
    assert errors == f"armwright: {name} must be 0 or 1, not 'yes\\n'.\n"


@pytest.mark.parametrize(
    ("failure", "code", "sentence"),
    [
        (FileNotFoundError(2, "No such file or directory"), 127, "armwright: tool: command not found\n"),
        (NotADirectoryError(20, "Not a directory"), 127, "armwright: tool: command not found\n"),
        (PermissionError(13, "Permission denied"), 126, "armwright: tool: cannot execute: Permission denied\n"),
        (OSError(8, "Exec format error"), 126, "armwright: tool: cannot execute: Exec format error\n"),
    ],
)
def test_a_command_that_cannot_start_ends_as_in_a_shell(
    container: Container, failure: OSError, code: int, sentence: str
) -> None:
    container.failure = failure
    assert container.run("tool") == (code, "", sentence)


def test_a_missing_image_file_is_one_sentence(container: Container) -> None:
    container.image_file.mkdir()
    code, output, errors = container.run("true")
    assert (code, output, errors.count("\n")) == (70, "", 1)
    assert "image.json cannot be read" in errors


@pytest.mark.parametrize("text", ["", "{", "\x80", "null", "[]", '{"schema": 1}'])
def test_a_damaged_image_file_is_one_sentence(container: Container, text: str) -> None:
    container.image_file.write_bytes(text.encode("latin-1"))
    code, output, errors = container.run("info")
    assert (code, output, errors.count("\n")) == (70, "", 1)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema", 2),
        ("combo", None),
        ("target", []),
        ("target.floor", "asimd"),
        ("target.floor[0]", 7),
        ("backend.versions.oneDNN", 3.7),
        ("fallbacks[1].floor", None),
        ("environment[0].value", 4),
        ("fast_math.feature", None),
        ("packages", ["torch"]),
    ],
)
def test_a_damaged_value_is_named(container: Container, path: str, value: object) -> None:
    place: Any = container.image
    *way, last = [int(step) if step.isdigit() else step for step in path.replace("[", ".").replace("]", "").split(".")]
    for step in way:
        place = place[step]
    place[last] = value
    code, _, errors = container.run("true")
    assert code == 70
    assert f"an invalid or missing value for '{path}" in errors


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The files as an image has them, for a machine like this one."""
    return install(tmp_path / "image")


def test_as_a_program_it_needs_nothing_and_leaves_nothing_behind(installed: Path) -> None:
    before = sorted(installed.rglob("*"))
    command = [sys.executable, "-I", str(installed / "entrypoint.py"), "--help"]
    done = subprocess.run(command, env={}, cwd="/", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(installed.rglob("*")) == before


def test_it_becomes_the_command_with_default_signals(installed: Path) -> None:
    command = [sys.executable, "-IS", str(installed / "entrypoint.py"), "cat", "/proc/self/status"]
    done = subprocess.run(command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True)
    ignored = next(line for line in done.stdout.splitlines() if line.startswith("SigIgn:")).split()[1]
    assert int(ignored, 16) & (1 << 12) == 0  # SIGPIPE is signal 13
