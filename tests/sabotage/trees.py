"""Tamperings with the files of an image from elsewhere, which came with valid evidence and its manifest."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from armwright.audit import file_tree
from armwright.matrix.matrix import Matrix
from armwright.plan.plan import FILE_TIME, Plan
from armwright.proof import evidence, foreign_image, image_tree
from armwright.proof.evidence import Evidence
from armwright.system.errors import FailedError
from tests import proofs
from tests.sabotage.ledger import Outcome
from tests.sabotage.tampering import Tampering, Workplace, expect_true
from tests.support import Tree

SITE = "usr/local/lib/python3.13/dist-packages"
LIBRARY, LINK, PROGRAM = f"{SITE}/torch/lib/libtorch.so", "usr/lib/libone.so.1", "usr/bin/python3.13"
NUMPY = f"{SITE}/numpy/version.py"
FILES = {
    LIBRARY: b"torch", NUMPY: b'version = "2.3.5"\n', PROGRAM: b"python", "etc/ld.so.cache": b"libone.so.1 /usr/lib",
    "etc/passwd": b"root:x:0:0\n",
}  # fmt: skip
CAPABILITY = {"SCHILY.xattr.security.capability": "\x01\x00\x00\x02\x00\x20\x00\x00"}


class Elsewhere(proofs.OneImage):
    """An engine with an image whose files below Armwright's own are given."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.parts: dict[str, tuple[tarfile.TarInfo, bytes]] = {}
        for name, content in FILES.items():
            self.put(name, content)
        self.put(LINK, b"", type=tarfile.SYMTYPE, linkname="libone.so.1.0")

    def put(self, name: str, content: bytes = b"", **header: Any) -> None:  # noqa: ANN401 - fields of a header
        """Put a file, a link or a folder."""
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode, entry.mtime = len(content), 0o755 if name == PROGRAM else 0o644, FILE_TIME
        for field, value in header.items():
            setattr(entry, field, value)
        self.parts[name] = entry, content

    def change(self, name: str, **header: Any) -> None:  # noqa: ANN401 - fields of a header
        """Change the header of an entry."""
        self.put(name, self.parts[name][1], **header)

    @contextmanager
    def export(self, _: str) -> Iterator[IO[bytes]]:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for entry, content in self.parts.values():
                archive.addfile(entry, io.BytesIO(content))
        stream.seek(0)
        yield stream


def compared(
    change: Callable[[Elsewhere], object], beside: Callable[[Path], object] | None = None
) -> Callable[[Workplace], Outcome]:
    """Change an image from elsewhere, or the manifest that came with its evidence, and judge it by its name.

    Args:
        change: changes the image.
        beside: changes the manifest, whose path it gets.
    """

    def attempt(place: Workplace) -> Outcome:
        tree, image = Tree(place.folder / "project"), Elsewhere(place.plan)
        _put_proof(tree.root, place.plan, image)
        matrix = tree.load()
        assert _explain(matrix, image) == ""
        change(image)
        if beside:
            beside(image_tree.manifest_path(tree.root, place.plan.combo.id))
        try:
            found = _explain(matrix, image)
        except FailedError as error:
            return Outcome({"image tree": error.what})
        return expect_true("own word", found, noticed=bool(found))

    return attempt


def _explain(matrix: Matrix, image: Elsewhere) -> str:
    engine: Any = image
    return foreign_image.explain_own_word(matrix, engine, image.plan.reference, engine.image)


def _put_proof(root: Path, plan: Plan, image: Elsewhere) -> None:
    with image.export("") as archive:
        manifest = {entry.path: file_tree.describe_entry(entry) for entry in file_tree.list_entries(archive)}
    proof = Evidence.model_validate({**proofs.document(plan), "files": file_tree.hash_tree(manifest)})
    evidence.write_evidence(root, proof)
    image_tree.write_manifest(image_tree.manifest_path(root, plan.combo.id), manifest)


def add_to_manifest(path: Path) -> None:
    """Write the file that was planted into the manifest too."""
    manifest = image_tree.read_manifest(path)
    assert manifest is not None
    image_tree.write_manifest(path, {**manifest, "etc/ld.so.preload": "file 0644 0:0 315619200 0 any"})


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def preload(image: Elsewhere) -> None:
    image.put("etc/ld.so.preload", b"/usr/lib/libfake.so\n")


def _tree(pattern: str, change: Callable[[Elsewhere], object]) -> Tampering:
    return Tampering("stranger", "image tree", pattern, compared(change))


def _manifest(beside: Callable[[Path], object]) -> Tampering:
    return Tampering("stranger", "own word", "were not compared", compared(preload, beside))


TREES: Mapping[str, Tampering] = {
    "elsewhere: a library with one byte changed": _tree(
        f"changed {LIBRARY}", lambda image: image.put(LIBRARY, b"torcH")
    ),
    "elsewhere: another NumPy": _tree(f"changed {NUMPY}", lambda image: image.put(NUMPY, b'version = "2.3.4"\n')),
    "elsewhere: a preloaded library": _tree("added etc/ld.so.preload", preload),
    "elsewhere: another folder of libraries": _tree(
        "added etc/ld.so.conf.d", lambda image: image.put("etc/ld.so.conf.d/000.conf", b"/fake\n")
    ),
    "elsewhere: another index of libraries": _tree(
        "changed etc/ld.so.cache", lambda image: image.put("etc/ld.so.cache", b"libone.so.1 /tmp/lib")
    ),
    "elsewhere: a .pth file": _tree(
        f"added {SITE}/planted.pth", lambda image: image.put(f"{SITE}/planted.pth", b"import planted\n")
    ),
    "elsewhere: a sitecustomize that is empty": _tree(
        f"added {SITE}/sitecustomize.py", lambda image: image.put(f"{SITE}/sitecustomize.py")
    ),
    "elsewhere: a link that leads to another file": _tree(
        f"changed {LINK}", lambda image: image.change(LINK, type=tarfile.SYMTYPE, linkname="libone.so.0.9")
    ),
    "elsewhere: a program that became a link": _tree(
        f"changed {PROGRAM}", lambda image: image.put(PROGRAM, type=tarfile.SYMTYPE, linkname="/usr/bin/fake")
    ),
    "elsewhere: a file that became a folder": _tree(
        f"changed {NUMPY}", lambda image: image.put(NUMPY, type=tarfile.DIRTYPE, mode=0o755)
    ),
    "elsewhere: a program that runs as root": _tree(
        f"changed {PROGRAM}", lambda image: image.change(PROGRAM, mode=0o4755)
    ),
    "elsewhere: a library that everybody may write": _tree(
        f"changed {LIBRARY}", lambda image: image.change(LIBRARY, mode=0o666)
    ),
    "elsewhere: a library that belongs to the user": _tree(
        f"changed {LIBRARY}", lambda image: image.change(LIBRARY, uid=1000)
    ),
    "elsewhere: a file of another time": _tree(
        f"changed {NUMPY}", lambda image: image.change(NUMPY, mtime=FILE_TIME + 1)
    ),
    "elsewhere: a program with a capability": _tree(
        f"changed {PROGRAM}", lambda image: image.change(PROGRAM, pax_headers=CAPABILITY)
    ),
    "elsewhere: a file that was deleted": _tree("missing etc/passwd", lambda image: image.parts.pop("etc/passwd")),
    "elsewhere: a manifest that lists what was planted": _manifest(add_to_manifest),
    "elsewhere: a manifest that is cut off": _manifest(cut),
    "elsewhere: a manifest that is gone": _manifest(lambda path: path.unlink()),
}
