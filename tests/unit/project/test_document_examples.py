"""The outputs that documents show are those of the code."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from choices import choose, refusal
from machine import Cpus, Emulation, Machine, Processor
from page import page

from armwright.matrix.matrix import Matrix
from armwright.plan.plan import make_plan
from armwright.proof.evidence import Evidence
from armwright.proof.wording import print_proof
from armwright.request.fields import make_fields
from armwright.request.parse import parse_request
from armwright.request.submission import read_issue_body
from tests import proofs
from tests.support import ROOT

COMBO = "pytorch-2.10.0-n1-acl"


@pytest.fixture(scope="module")
def image(matrix: Matrix) -> Any:  # noqa: ANN401 - image.json
    return json.loads(make_plan(matrix, matrix.by_id[COMBO]).files["image/opt/armwright/image.json"])


def example(path: str, start: str) -> str:
    """Return the block of a document that begins with a text."""
    match = re.search(
        rf"^```text\n({re.escape(start)}.*?)^```$", (ROOT / path).read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert match, f"{path} shows no {start!r}"
    return match[1]


def emulated(features: str, parts: Sequence[str]) -> Machine:
    """Return a machine with two emulated CPUs."""
    return Machine(
        "aarch64",
        Processor(frozenset(features.split()), tuple(parts)),
        None,
        Cpus(2, "all 2 CPUs of the machine"),
        Emulation(emulated=True, name="QEMU", model="neoverse-n1"),
    )


def test_the_proof_in_readme_has_the_lines_of_a_proof(matrix: Matrix, capsys: pytest.CaptureFixture[str]) -> None:
    plan = make_plan(matrix, matrix.by_id[COMBO])
    print_proof(Evidence.model_validate(proofs.document(plan)), f"build/evidence/{COMBO}.json")
    shown = example("README.md", f"{COMBO} on ")
    assert len(shown.splitlines()) <= 14
    label = re.compile(r"^  (\S+(?: \S+)*)  ", re.MULTILINE)
    assert label.findall(shown) == label.findall(capsys.readouterr().out)


def test_the_page_of_an_image_is_shown_as_it_is_printed(image: Any) -> None:  # noqa: ANN401 - image.json
    machine = emulated("fp asimd atomics fphp asimdhp asimddp", ["0x41:0xd0c"])
    printed = page(image, machine, choose(image, machine, {"QEMU_CPU": "neoverse-n1"}), "")
    parts = example("docs/reference/image.md", "PyTorch 2.10.0 for ").split("…\n")
    assert [part for part in parts if part not in f"{printed}\n"] == []


def test_the_request_that_is_shown_is_understood(matrix: Matrix) -> None:
    text = (ROOT / "docs/how-to/request-a-combination.md").read_text("utf-8")
    (body,) = re.findall(r"^````markdown\n(.*?)^````$", text, re.MULTILINE | re.DOTALL)
    form = make_fields(matrix)
    request = parse_request(matrix, form, read_issue_body(form, body))
    assert (request.framework, request.target, request.backend, request.dtypes) == ("pytorch", "", "", ("fp32", "bf16"))
    assert request.cpu is not None
    assert request.cpu.target is not None
    assert request.cpu.target.name == "v1"


def test_a_refusal_is_shown_as_it_is_printed(image: Any) -> None:  # noqa: ANN401 - image.json
    shown = example("docs/how-to/run-in-production.md", "armwright: This image is for ")
    assert " ".join(shown.split()) == f"armwright: {refusal(image, emulated('fp asimd', ['0x41:0xd08']))}"
