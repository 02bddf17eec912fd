"""What a build of two images prints without a terminal: the plan, a line per step, two proofs, the summary.

The programs that a build starts are replaced by ones that print as much as the real ones; the engine by one in memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from armwright.cli import build
from armwright.cli.build import BuildArguments
from armwright.engine.client import Image
from armwright.engine.probe import EngineReading
from armwright.fetch import debian_roots, library_cache
from armwright.matrix.matrix import Matrix
from armwright.matrix.selection import Selector
from armwright.pipeline import build_all, preflight
from armwright.plan.plan import Plan, make_plan
from armwright.proof import check_image, check_leftovers, prove, smoke
from armwright.proof.evidence import Evidence
from armwright.system import console, process
from tests import proofs
from tests.support import SMALL, Tree

COMBOS = ["pytorch-2.10.0-n1-acl", "pytorch-2.9.1-n1-openblas"]
MOST = 40  # lines per image
WHEELS = 30
STEPS = [
    "resolve image config",
    *(f"[packages {number}/20] RUN something" for number in range(20)),
    "exporting to image",
]


class MemoryEngine:
    """An engine that keeps images in memory."""

    reading = EngineReading(
        "26.1.5", containerd_store=True, running=0, root=Path("/nonexistent"), cpus=2, memory=8_000_000_000
    )
    folder = Path("/nonexistent")
    address = reading.address
    version = "26.1.5"

    def __init__(self, plans: Iterable[Plan]) -> None:
        self.plans = {plan.reference: plan for plan in plans}
        self.images: dict[str, Image] = {}

    def build(self, reference: str) -> None:
        plan = next(plan for name, plan in self.plans.items() if reference.startswith(name))
        self.images[reference] = proofs.OneImage(plan).image

    def names(self) -> dict[str, str]:
        return {name: image.digest for name, image in self.images.items()}

    def find(self, reference: str) -> Image | None:
        return self.images.get(reference)

    def tag(self, reference: str, name: str) -> None:
        found = (image for image in self.images.values() if image.digest == reference)
        self.images[name] = self.images.get(reference) or next(found)

    def remove_abandoned(self) -> int:
        return 0

    def untag(self, name: str) -> None:
        self.images.pop(name, None)


def unpack(_cache: Path, base: Any, _lock: object, role: str, log: Path) -> Path:  # noqa: ANN401 - a recipe
    """Report as much as apt does."""
    with console.progress(f"{role} of {base.name}: 62 packages") as shown:
        for number in range(20):
            shown.update(f"extracting archive {number}")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("root", encoding="utf-8")
    return log


def events() -> list[str]:
    """Return BuildKit's events of a build."""
    start, end = "2026-11-20T09:59:18.499902251Z", "2026-11-20T09:59:28.499902251Z"
    lines = []
    for name in STEPS:
        vertex = {"digest": name, "name": name, "started": start}
        lines += [json.dumps({"vertexes": [vertex]}), json.dumps({"vertexes": [{**vertex, "completed": end}]})]
    return lines


@pytest.fixture
def run(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    tree.publish(SMALL)
    matrix: Matrix = tree.load()
    plans = [make_plan(matrix, matrix.by_id[combo]) for combo in COMBOS]
    engine = MemoryEngine(plans)

    def stream(arguments: Sequence[str], _log: Path, on_line: Callable[[str], str | None], **_: object) -> None:
        if arguments[0] == "pip":
            for number in range(WHEELS):
                on_line(f"  Downloading https://index.example/package_{number}-1.0-py3-none-any.whl (1.2 MB)")
            Path(arguments[-1]).mkdir()
        else:
            for line in events():
                on_line(line)
            (output,) = [word for word in arguments if word.startswith("type=image,name=")]
            engine.build(output.split(",")[1].removeprefix("name="))

    def run_smoke(_engine: object, reference: str, *_: object) -> smoke.SmokeRun:
        plan = engine.plans[reference]
        return smoke.SmokeRun(Evidence.model_validate(proofs.document(plan)), {"": proofs.answer(plan)})

    monkeypatch.setattr(build_all, "Engine", lambda: engine)
    monkeypatch.setattr(preflight, "LEAST_FREE", 0)
    monkeypatch.setattr(smoke, "require_runner", lambda *_: "")
    monkeypatch.setattr(debian_roots, "ensure_root", unpack)
    monkeypatch.setattr(library_cache, "ensure_library_cache", lambda root: root)
    monkeypatch.setattr(process, "stream", stream)
    monkeypatch.setattr(check_image, "require_planned_image", lambda *_: None)
    monkeypatch.setattr(check_leftovers, "require_no_leftovers", lambda *_: None)
    monkeypatch.setattr(prove, "run_smoke", run_smoke)

    def built(*, verbose: bool) -> int:
        given = BuildArguments("archive", True, False, "", False, False, verbose, "1", "")  # noqa: FBT003 - as parsed
        return build.run(matrix, Selector(combo=",".join(COMBOS)), given)

    return built


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    captured = capsys.readouterr()
    return [*captured.out.splitlines(), *captured.err.splitlines()]


def test_a_build_prints_at_most_40_lines_per_image(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(verbose=False) == 0
    lines = printed(capsys)
    assert len(lines) <= MOST * len(COMBOS), "\n".join(lines)
    text = "\n".join(lines)
    assert "extracting archive" not in text
    assert "package_" not in text
    assert "RUN something" not in text
    assert "plan: 2 images, 2 to build" in text
    for combo in COMBOS:
        steps = [line.removeprefix(f"==> {combo}: ") for line in lines if line.startswith(f"==> {combo}: ")]
        assert all(step.endswith(" s)") for step in steps), steps
        assert [re.split(r"\W", step)[0] for step in steps] == ["root", "tools", "wheels", "build"]
        assert any(line.startswith(f"==> prove {combo} ") for line in lines)
        assert f"evidence           build/evidence/{combo}.json" in text
        assert re.search(rf"^{combo} +proven +130.0 MB", text, re.MULTILINE)
    assert text.count("checks hold, in 60 s (emulated: not a measure of speed)") == 2
    assert "(export 10)" in text
    assert re.search(r"^2 images in \d+ s: 2 proven$", text, re.MULTILINE)


def test_a_verbose_build_prints_tools_and_whole_proofs(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(verbose=True) == 0
    text = "\n".join(printed(capsys))
    assert "extracting archive 19 (0 s)" in text
    assert f"package_{WHEELS - 1}-1.0" in text
    assert "[packages 19/20] RUN something: 10.0 s" in text
    assert text.count("answers lenet fp32") == 2
    assert f"{COMBOS[0]}:  10.0 s  exporting to image" in text
