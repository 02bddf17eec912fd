"""The commands as a user runs them: what is on standard output, which exit code, and what comes next.

No engine answers here (DOCKER_HOST leads nowhere): reading commands work all the same, and building says what to do.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from armwright.pipeline.documents import ListedRow, PlannedRow
from tests.support import ROOT


class Said(NamedTuple):
    """What a command came to; its two streams with the terminal's line breaks taken out."""

    code: int
    out: str
    err: str


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


def run(words: str) -> Said:
    environment = {
        **os.environ,
        "DOCKER_HOST": "unix:///nonexistent/docker.sock",
        "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "500",
    }
    done = subprocess.run(
        [sys.executable, "-m", "invoke", *words.split()],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return Said(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def said() -> dict[str, Said]:
    """Run every command once, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(COMMANDS, pool.map(run, COMMANDS), strict=True))


def document(one: Said) -> Any:  # noqa: ANN401 - a JSON document
    assert one.code == 0
    return json.loads(one.out)


def test_list_shows_what_can_be_built_and_says_that_more_is_hidden(said: dict[str, Said]) -> None:
    one = said["list"]
    assert one.code == 0
    assert "pytorch-2.10.0-n1-acl" in one.out
    assert "pytorch-2.10.0-generic-acl" not in one.out
    assert re.search(r"\d+ refused( and \d+ unverified)? combo\(s\) not shown; invoke list --all shows why", one.err)


def test_list_all_shows_what_is_refused_with_the_reason_and_the_nearest(said: dict[str, Said]) -> None:
    one = said["list --all"]
    assert one.code == 0
    line = next(line for line in one.out.splitlines() if line.startswith("pytorch-2.10.0-generic-acl"))
    assert "refused" in line
    assert "illegal instruction" in one.out
    assert "nearest: pytorch-2.9.1-generic-acl" in " ".join(one.out.split())


def test_list_works_without_an_engine_and_says_so(said: dict[str, Said]) -> None:
    one = said["list"]
    assert one.code == 0
    assert "unknown" in one.out
    assert "Docker Engine does not answer; run: ./inv setup" in " ".join(one.out.split())
    assert "not built" not in one.out


def test_list_json_is_one_document_with_a_row_for_each_combo_of_the_shape_that_the_schema_says(
    said: dict[str, Said],
) -> None:
    rows = document(said["list --all --json"])
    schema = document(said["list --schema"])
    known = schema["$defs"]["ListedRow"]
    assert schema["type"] == "array"
    assert all(set(row) == set(known["properties"]) == set(known["required"]) for row in rows)
    assert all(one["description"] for one in known["properties"].values())
    assert [ListedRow.model_validate(row).model_dump() for row in rows] == rows
    states = {row["id"]: row["state"] for row in rows}
    assert states["pytorch-2.10.0-generic-acl"] == "refused"
    assert states["pytorch-2.10.0-n1-acl"] == "unknown"
    assert all(row["reason"] for row in rows)


def test_list_narrows_by_names_other_names_and_globs(said: dict[str, Said]) -> None:
    rows = document(said["list --target n*,graviton3 --backend a* --json"])
    assert {row["target"] for row in rows} == {"n1", "n2", "v1"}
    assert {row["backend"] for row in rows} == {"acl"}


def test_the_grid_shows_every_version_by_its_state_and_what_the_states_mean(said: dict[str, Said]) -> None:
    lines = said["list --grid"].out.splitlines()
    generic = next(number for number, line in enumerate(lines) if line.startswith("generic"))
    assert any("refused 2.10.0" in line for line in lines[generic : generic + 4])
    assert any(line.split("  ")[0] == "refused" and "cannot work" in line for line in lines)
    assert max(map(len, lines)) <= 120


def test_plan_json_is_one_document_with_digests_and_reasons(said: dict[str, Said]) -> None:
    rows = document(said["plan --json"])
    known = document(said["plan --schema"])["$defs"]["PlannedRow"]
    assert all(set(row) == set(known["properties"]) for row in rows)
    assert [PlannedRow.model_validate(row).model_dump() for row in rows] == rows
    row = next(row for row in rows if row["id"] == "pytorch-2.10.0-n1-acl")
    assert row["inputs"].startswith("sha256:")
    assert row["reference"] == f"pytorch:2.10.0-n1-acl-{row['inputs'][7:19]}"
    assert (row["base"], row["emulator"]) == ("debian-13 (archive)", "neoverse-n1")
    assert "Dockerfile" in row["files"]


def test_all_means_every_version_and_not_only_the_newest(said: dict[str, Said]) -> None:
    rows = document(said["plan --target n1 --backend acl --all --json"])
    assert {"pytorch-2.10.0-n1-acl", "pytorch-2.9.1-n1-acl"} <= {row["id"] for row in rows}
    assert "pytorch-2.9.1-n1-acl" not in {row["id"] for row in document(said["plan --json"])}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("list --grid --json", ["--grid and --json cannot be combined", "invoke list --help"]),
        ("build --target n9 --backend mkl", ["--target 'n9' is not known", "--backend 'mkl' is not known", "openblas"]),
        ("build --target n1 --base moon", ["--base 'moon' is not known", "archive, registry"]),
        ("build --version 2.10.0 --target generic", ["illegal instruction", "--combo pytorch-2.9.1-generic-"]),
        ("lock --base nope", ["--base 'nope' is not known", "debian-13"]),
        ("test --tier foo", ["--tier 'foo' is not known", "checks, engine, image, unit"]),
        ("build --target n1 --jobs none", ["--jobs 'none' is not a whole number of at least 1", "invoke build --help"]),
        ("build --taget n1", ["there is no option '--taget': did you mean '--target'?", "invoke build --help"]),
        ("buidl", ["there is no command 'buidl': did you mean 'build'?", "invoke --list"]),
        ("plan --target", ["flag --target needed value", "invoke plan --help"]),
        ("registry", ["'action'", "invoke registry --help"]),
        ("build --target=", ["--target: given, and empty"]),
        ("smoke --image=", ["--image: given, and empty"]),
        (
            "smoke --target n1 --backend acl --workload lenett",
            ["pytorch has no workload 'lenett': did you mean 'lenet'?"],
        ),
        ("stage --target n1 --backend acl --to http://registry.example", ["is not the host and port of a registry"]),
        ("stage --target n1 --backend acl --to user/images", ["is not the host and port of a registry"]),
        ("registry show --port abc", ["'abc' is no port"]),
        ("lock --framework pytorch --base debian-13", ["give one"]),
    ],
)
def test_wrong_words_are_exit_code_2_with_cause_and_next_command_and_nothing_started(
    said: dict[str, Said], words: str, told: list[str]
) -> None:
    one = said[words]
    assert one.code == 2
    assert one.out == ""
    first = one.err.splitlines()[0]
    assert first.startswith("error: ")  # nothing before it: no step was announced
    assert "==>" not in one.err
    assert "\nnext:  " in one.err
    assert "Traceback" not in one.err
    assert all(word in one.err for word in told), one.err


@pytest.mark.parametrize("words", ["build --target n1 --backend acl", "stage --target n1"])
def test_without_an_engine_the_exit_code_is_3_and_setup_comes_next(said: dict[str, Said], words: str) -> None:
    one = said[words]
    assert one.code == 3
    assert one.out == ""
    assert "error: the Docker engine does not answer; nothing was started" in one.err
    assert "next:  ./inv setup" in one.err
    assert "==>" not in one.err


def test_a_dry_run_of_a_build_shows_the_plan_and_needs_no_engine(said: dict[str, Said]) -> None:
    one = said["build --target n1 --dry-run"]
    assert one.code == 0
    assert "pytorch-2.10.0-n1-acl" in one.out
    assert "unknown" in one.out


@pytest.mark.parametrize("words", ["bump --help", "registry -h", "setup evidence --help"])
def test_help_after_a_command_that_takes_a_word_by_position_is_its_help(said: dict[str, Said], words: str) -> None:
    one = said[words]
    assert (one.code, one.err) == (0, "")
    name = words.split()[-2]
    assert f" {name} [--options]" in one.out
    assert f"Example: invoke {name}" in one.out.replace("Examples", "Example")
