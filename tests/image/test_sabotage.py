"""Broken images, each made from a proven one: every one must fail in the check meant for it, and none may pass."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

from armwright import smoke
from armwright.doors import process
from armwright.doors.errors import FailedError
from armwright.engine import Engine
from armwright.evidence import Evidence
from armwright.matrix import Matrix

ROOT = Path(__file__).resolve().parents[2]
N1, V1, OPENBLAS = "pytorch-2.10.0-n1-acl", "pytorch-2.10.0-v1-acl", "pytorch-2.10.0-n1-openblas"
HOME = "/opt/armwright"
SITE = "/usr/local/lib/python3.13/dist-packages"
WEIGHTS = "smoke/lenet/weights.npz"
ACL = f"{SITE}/torch/lib/libarm_compute.so"

Images = Mapping[str, Any]
Files = dict[str, bytes]

# What an AArch64 function does that returns arm_compute::Status{RUNTIME_ERROR, ""} through x8:
# add x9,x8,#24; str x9,[x8,#8]; str xzr,[x8,#16]; strb wzr,[x8,#24]; mov w9,#1; str w9,[x8]; ret
REFUSE = b"".join(
    word.to_bytes(4, "little")
    for word in (0x91006109, 0xF9000509, 0xF900091F, 0x3900611F, 0x52800029, 0xB9000109, 0xD65F03C0)
)
ASKED = re.compile(r"^_ZN11arm_compute.*Conv.*(8validateE|12has_opt_implE)")
SWITCH_OFF = (
    b"import sys; any(word.endswith('worker.py') for word in sys.orig_argv) and "
    b"__import__('torch')._C._set_mkldnn_enabled(False)\n"
)


@dataclass(frozen=True)
class Sabotage:
    """A way to break an image.

    Attributes:
        combo: the proven image it starts from.
        checks: the checks that fail; all others pass or, on another CPU, are not run.
        words: what the first of them says.
        files: what is put over the image.
        lines: lines of its Dockerfile.
        cpu: the target on whose CPU it is run, if not its own.
    """

    combo: str
    checks: tuple[str, ...]
    words: str
    files: Callable[[Any], Files] = lambda _: {}
    lines: tuple[str, ...] = ()
    cpu: str = ""


def overlay(_: Any) -> Files:  # noqa: ANN401 - conftest.Proven
    """Take what makes an openblas image into an acl image."""
    folder = ROOT / "scripts" / "overlays" / "pytorch-openblas"
    return {f"{SITE}/{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def weights(image: Any) -> Files:  # noqa: ANN401 - conftest.Proven
    """Change one of the network's weights."""
    with np.load(io.BytesIO(image.plan.files[f"image{HOME}/{WEIGHTS}"])) as archive:
        arrays = dict(archive)
    arrays["conv1.weight"][0, 0, 2, 2] += np.float32(0.25)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return {f"{HOME}/{WEIGHTS}": buffer.getvalue()}


def weights_and_their_hash(image: Any) -> Files:  # noqa: ANN401 - conftest.Proven
    """Change one weight, and what the image says its files are."""
    changed = weights(image)
    digest = hashlib.sha256(changed[f"{HOME}/{WEIGHTS}"]).hexdigest()
    return changed | facts(image, lambda document: document["smoke"]["files"].__setitem__(WEIGHTS, digest))


def other_version(image: Any) -> Files:  # noqa: ANN401 - conftest.Proven
    """Say that another oneDNN is inside."""
    return facts(image, lambda document: document["backend"]["versions"].__setitem__("oneDNN", "3.7.2"))


def reference_only(image: Any) -> Files:  # noqa: ANN401 - conftest.Proven
    """Make the Arm Compute Library refuse every convolution, so that oneDNN falls back to its own reference code."""
    library = bytearray(taken(image.reference, ACL))
    elf = ELFFile(io.BytesIO(bytes(library)))
    patched = 0
    for symbol in elf.get_section_by_name(".dynsym").iter_symbols():
        if ASKED.match(symbol.name) and symbol["st_shndx"] != "SHN_UNDEF" and symbol["st_size"] >= len(REFUSE):
            start = next(iter(elf.address_offsets(symbol["st_value"])))
            library[start : start + len(REFUSE)] = REFUSE
            patched += 1
    assert patched > 10
    return {ACL: bytes(library)}


def report_of_another(image: Any) -> Files:  # noqa: ANN401 - conftest.Proven
    """Let it show the proof of another combo."""
    report = image.evidence.report.model_copy(update={"combo": V1})
    return {"/report.json": report.model_dump_json(by_alias=True).encode()}


def facts(image: Any, change: Callable[[Any], object]) -> Files:  # noqa: ANN401 - conftest.Proven
    """Change image.json."""
    document = json.loads(image.plan.files[f"image{HOME}/image.json"])
    change(document)
    return {f"{HOME}/image.json": json.dumps(document).encode()}


def taken(reference: str, path: str) -> bytes:
    """Take a file out of an image."""
    docker = process.require("docker")
    container = process.capture([docker, "create", "--platform", "linux/arm64", reference]).strip()
    try:
        data = subprocess.run([docker, "cp", f"{container}:{path}", "-"], capture_output=True, check=True).stdout
    finally:
        process.capture([docker, "rm", container])
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        member = archive.extractfile(Path(path).name)
        assert member is not None
        return member.read()


CONVOLUTION = "kernels onednn convolution"
SABOTAGES = {
    "oneDNN switched off by an entry point": Sabotage(
        N1, (CONVOLUTION,), "no convolution was seen: the backend is off", overlay
    ),
    "oneDNN switched off by the site": Sabotage(
        N1, (CONVOLUTION,), "no convolution was seen: the backend is off",
        lambda _: {f"{SITE}/off.pth": SWITCH_OFF},
    ),
    "oneDNN with reference kernels only": Sabotage(N1, (CONVOLUTION,), r"convolution \S*ref\S* x2", reference_only),
    "one weight changed": Sabotage(N1, ("files", "answers lenet"), f"changed: {WEIGHTS}", weights),
    "one weight changed, and its hash": Sabotage(
        N1, ("answers lenet",), r"largest error [\d.]+", weights_and_their_hash
    ),
    "another version than it says": Sabotage(N1, ("version oneDNN",), r"3\.7\.1", other_version),
    "a library that is empty": Sabotage(
        N1, ("import",), r"libarm_compute\.so: file too short", lambda _: {ACL: b""}
    ),
    "an n1 image on the CPU of v1": Sabotage(N1, ("cpu",), "Arm Neoverse V1", cpu="v1"),
    "a v1 image on the CPU of n1": Sabotage(
        V1, (), r"refused to start: .*needs sve .*pytorch:2\.10\.0-n1-acl runs here", cpu="n1"
    ),
    "the openblas switch switched off": Sabotage(
        OPENBLAS, ("kernels onednn *", "kernels profiler convolution"), r"convolution \S*:acl x2",
        lines=("ENV TORCH_DEVICE_BACKEND_AUTOLOAD=0",),
    ),
    "a process that is root": Sabotage(N1, ("user",), "uid 0", lines=("USER 0:0",)),
    "an entrypoint that says nothing": Sabotage(
        N1, (), r"gave no report \(exit 0\); its last words: nothing", lines=('ENTRYPOINT ["/usr/bin/true"]',)
    ),
    "an entrypoint that shows another's proof": Sabotage(
        N1, (), f"report is of {V1}", report_of_another,
        lines=('ENTRYPOINT ["/usr/bin/python3", "-c", "print(open(\'/report.json\').read())"]',),
    ),
    "an entrypoint that is gone": Sabotage(
        N1, (), "entrypoint.py|no such file", lines=('ENTRYPOINT ["/usr/bin/python3", "-I", "/gone/entrypoint.py"]',),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def proofs(
    proven: Images, matrix: Matrix, derive: Callable[..., str], request: pytest.FixtureRequest
) -> Iterator[Mapping[str, Future[tuple[str, Evidence]]]]:
    """Break and try to prove all images that were asked for, as many at a time as there are CPUs."""
    asked = {item.callspec.params.get("name") for item in request.session.items if hasattr(item, "callspec")}

    def attempt(sabotage: Sabotage) -> tuple[str, Evidence]:
        image = proven[sabotage.combo]
        target = matrix.recipes.targets[sabotage.cpu or image.plan.combo.target.name]
        name = derive(image, sabotage.files(image), sabotage.lines)
        engine = Engine()
        return name, smoke.prove(engine, name, smoke.find(engine, name), target)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {name: pool.submit(attempt, one) for name, one in SABOTAGES.items() if name in asked}


@pytest.mark.parametrize("name", SABOTAGES)
def test_a_broken_image_fails_with_its_own_words_and_gets_neither_evidence_nor_name(  # noqa: PLR0913, PLR0917
    name: str,
    proofs: Mapping[str, Future[tuple[str, Evidence]]],
    proven: Images,
    engine: Engine,
    tmp_path: Path,
    caught: list[tuple[str, str, str]],
) -> None:
    sabotage = SABOTAGES[name]
    if sabotage.checks:
        reference, proof = proofs[name].result()
        said = {one.name: one.found for one in proof.failed}
        assert set(said) == set(sabotage.checks)
        check, words = sabotage.checks[0], said[sabotage.checks[0]]
        assert not proof.report.proven
        with pytest.raises(FailedError, match="is not proven") as refused:
            smoke.conclude(tmp_path, proof)
        assert check in refused.value.what
        assert engine.names()[reference] == proof.image
        assert proof.image not in {engine.names().get(one.plan.tag) for one in proven.values()}
    else:
        with pytest.raises(FailedError) as failed:
            proofs[name].result()
        check, words = "(no report)", failed.value.what.partition(" ")[2]
        assert failed.value.next_step
    assert re.search(sabotage.words, words)
    assert list(tmp_path.iterdir()) == []
    caught.append((name, check, words))
