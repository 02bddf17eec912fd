"""The commands as a user runs them: standard output, exit codes, and next commands.

No engine answers here: commands that only read work, and commands that build name the next command.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pydantic import TypeAdapter

from armwright.pipeline.documents import ListedRow, PlannedRow, to_documents
from tests.forks import Finished, run_commands

COMMANDS = [
    "list",
    "list --all",
    "list --all --json",
    "list --grid",
    "list --schema",
    "list --grid --json",
    "list --target n*,graviton3 --backend a* --json",
    "plan --json",
    "plan --schema",
    "plan --target n1 --backend acl --all --json",
    "build --target n9 --backend mkl",
    "build --target n1 --base moon",
    "build --version 2.10.0 --target generic",
    "build --target n1 --backend acl",
    "build --target n1 --dry-run",
    "stage --target n1",
    "lock --base nope",
    "test --tier foo",
    "build --taget n1",
    "build --target n1 --jobs none",
    "buidl",
    "plan --target",
    "registry",
    "build --target=",
    "smoke --image=",
    "smoke --target n1 --backend acl --workload lenett",
    "stage --target n1 --backend acl --to http://registry.example",
    "stage --target n1 --backend acl --to user/images",
    "registry show --port abc",
    "lock --framework pytorch --base debian-13",
    "bump --help",
    "registry -h",
    "setup evidence --help",
]


@pytest.fixture(scope="module")
def commands() -> dict[str, Finished]:
    """Run every command once."""
    finished = run_commands([line.split() for line in COMMANDS], {"COLUMNS": "500"})
    return dict(zip(COMMANDS, finished, strict=True))


def read_document(finished: Finished) -> Any:  # noqa: ANN401 - a JSON document
    assert finished.code == 0
    return json.loads(finished.out)


def test_list_shows_possible_combos_and_counts_the_others(commands: dict[str, Finished]) -> None:
    finished = commands["list"]
    assert finished.code == 0
    assert "pytorch-2.10.0-n1-acl" in finished.out
    assert "pytorch-2.10.0-generic-acl" not in finished.out
    assert re.search(
        r"\d+ refused( and \d+ unverified)? combo\(s\) not shown; invoke list --all shows why", finished.err
    )


def test_list_all_shows_refusals_with_reason_and_nearest(commands: dict[str, Finished]) -> None:
    finished = commands["list --all"]
    assert finished.code == 0
    line = next(line for line in finished.out.splitlines() if line.startswith("pytorch-2.10.0-generic-acl"))
    assert "refused" in line
    assert "illegal instruction" in finished.out
    assert "nearest: pytorch-2.9.1-generic-acl" in " ".join(finished.out.split())


def test_list_works_without_an_engine(commands: dict[str, Finished]) -> None:
    finished = commands["list"]
    assert finished.code == 0
    assert "unknown" in finished.out
    assert "Docker Engine does not answer; run: ./inv setup" in " ".join(finished.out.split())
    assert "not built" not in finished.out


def test_list_json_conforms_to_its_schema(
    commands: dict[str, Finished],
) -> None:
    rows = read_document(commands["list --all --json"])
    schema = read_document(commands["list --schema"])
    known = schema["$defs"]["ListedRow"]
    assert schema["type"] == "array"
    assert all(set(row) == set(known["properties"]) == set(known["required"]) for row in rows)
    assert all(field["description"] for field in known["properties"].values())
    assert to_documents(TypeAdapter(list[ListedRow]).validate_json(json.dumps(rows))) == rows
    states = {row["id"]: row["state"] for row in rows}
    assert states["pytorch-2.10.0-generic-acl"] == "refused"
    assert states["pytorch-2.10.0-n1-acl"] == "unknown"
    assert all(row["reason"] for row in rows)


def test_list_accepts_names_aliases_and_globs(commands: dict[str, Finished]) -> None:
    rows = read_document(commands["list --target n*,graviton3 --backend a* --json"])
    assert {row["target"] for row in rows} == {"n1", "n2", "v1"}
    assert {row["backend"] for row in rows} == {"acl"}


def test_grid_shows_every_version_and_explains_the_states(commands: dict[str, Finished]) -> None:
    lines = commands["list --grid"].out.splitlines()
    generic = next(number for number, line in enumerate(lines) if line.startswith("generic"))
    assert any("refused 2.10.0" in line for line in lines[generic : generic + 4])
    assert any(line.split("  ")[0] == "refused" and "cannot work" in line for line in lines)
    assert max(map(len, lines)) <= 120


def test_plan_json_conforms_to_its_schema(commands: dict[str, Finished]) -> None:
    rows = read_document(commands["plan --json"])
    known = read_document(commands["plan --schema"])["$defs"]["PlannedRow"]
    assert all(set(row) == set(known["properties"]) for row in rows)
    assert to_documents(TypeAdapter(list[PlannedRow]).validate_json(json.dumps(rows))) == rows
    row = next(row for row in rows if row["id"] == "pytorch-2.10.0-n1-acl")
    assert row["inputs"].startswith("sha256:")
    assert row["reference"] == f"pytorch:2.10.0-n1-acl-{row['inputs'][7:19]}"
    assert (row["base"], row["emulator"]) == ("debian-13 (archive)", "neoverse-n1")
    assert "Dockerfile" in row["files"]


def test_all_selects_every_version(commands: dict[str, Finished]) -> None:
    rows = read_document(commands["plan --target n1 --backend acl --all --json"])
    assert {"pytorch-2.10.0-n1-acl", "pytorch-2.9.1-n1-acl"} <= {row["id"] for row in rows}
    assert "pytorch-2.9.1-n1-acl" not in {row["id"] for row in read_document(commands["plan --json"])}


@pytest.mark.parametrize(
    ("line", "messages"),
    [
        ("list --grid --json", ["--grid and --json cannot be combined", "invoke list --help"]),
        ("build --target n9 --backend mkl", ["--target 'n9' is not known", "--backend 'mkl' is not known", "openblas"]),
        ("build --target n1 --base moon", ["--base 'moon' is not known", "archive, registry"]),
        ("build --version 2.10.0 --target generic", ["illegal instruction", "--combo pytorch-2.9.1-generic-"]),
        ("lock --base nope", ["--base 'nope' is not known", "debian-13"]),
        ("test --tier foo", ["--tier 'foo' is not known", "checks, engine, image, unit"]),
        ("build --target n1 --jobs none", ["--jobs 'none' is not a whole number of at least 1", "invoke build --help"]),
        ("build --taget n1", ["unknown option '--taget': did you mean '--target'?", "invoke build --help"]),
        ("buidl", ["unknown command 'buidl': did you mean 'build'?", "invoke --list"]),
        ("plan --target", ["option --target needs a value", "invoke plan --help"]),
        ("registry", ["'action'", "invoke registry --help"]),
        ("build --target=", ["--target has an empty value", "invoke build --help"]),
        ("smoke --image=", ["--image has an empty value", "invoke smoke --help"]),
        (
            "smoke --target n1 --backend acl --workload lenett",
            ["pytorch has no workload 'lenett': did you mean 'lenet'?"],
        ),
        ("stage --target n1 --backend acl --to http://registry.example", ["is not a registry: "]),
        ("stage --target n1 --backend acl --to user/images", ["is not a registry: "]),
        ("registry show --port abc", ["'abc' is not a port"]),
        ("lock --framework pytorch --base debian-13", ["--base cannot be combined with --framework or --version"]),
    ],
)
def test_wrong_input_ends_with_2_and_a_next_command(
    commands: dict[str, Finished], line: str, messages: list[str]
) -> None:
    finished = commands[line]
    assert finished.code == 2
    assert finished.out == ""
    first = finished.err.splitlines()[0]
    assert first.startswith("error: ")  # nothing before it: no step was announced
    assert "==>" not in finished.err
    assert "\nnext:  " in finished.err
    assert "Traceback" not in finished.err
    assert all(message in finished.err for message in messages), finished.err


@pytest.mark.parametrize("line", ["build --target n1 --backend acl", "stage --target n1"])
def test_absent_engine_ends_with_3_and_names_its_address(commands: dict[str, Finished], line: str) -> None:
    finished = commands[line]
    assert finished.code == 3
    assert finished.out == ""
    assert "error: no Docker Engine answers at unix:///nonexistent/docker.sock (DOCKER_HOST): " in finished.err
    assert "; nothing was started\nnext:  unset DOCKER_HOST\n" in finished.err
    assert "==>" not in finished.err


def test_dry_run_of_a_build_needs_no_engine(commands: dict[str, Finished]) -> None:
    finished = commands["build --target n1 --dry-run"]
    assert finished.code == 0
    assert "pytorch-2.10.0-n1-acl" in finished.out
    assert "unknown" in finished.out


@pytest.mark.parametrize("line", ["bump --help", "registry -h", "setup evidence --help"])
def test_help_after_a_command_is_that_commands_help(commands: dict[str, Finished], line: str) -> None:
    finished = commands[line]
    assert (finished.code, finished.err) == (0, "")
    name = line.split()[-2]
    assert f" {name} [--options]" in finished.out
    assert f"Example: invoke {name}" in finished.out.replace("Examples", "Example")
