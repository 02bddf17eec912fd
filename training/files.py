"""The files of a workload: how they are written, read and compared. Every script in this folder has the same words.

python -m training.NAME                  # make the files and write them
python -m training.NAME --check          # make them again: are the committed files reproduced, bit for bit?
python -m training.NAME --expected-only  # the same for expected.npz alone, from the committed weights; no training

`main` reads these words.
"""

from __future__ import annotations

import argparse
import io
import runpy
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SMOKE = Path(__file__).resolve().parents[1] / "scripts" / "smoke"
Files = Callable[[], Iterator[tuple[str, bytes]]]


def npz(arrays: Mapping[str, npt.NDArray[Any]], *, compressed: bool = False) -> bytes:
    """Return the bytes of an .npz, whose members NumPy dates 1980-01-01, so they never vary.

    Compressed ones are the same only where the zlib is: use it where it saves much.
    """
    buffer = io.BytesIO()
    write = np.savez_compressed if compressed else np.savez
    write(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def loaded(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read an .npz."""
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


def workload(name: str) -> dict[str, Any]:
    """Run a workload's `workload.py` and return its names: `prepare`, `score`, perhaps `weights`."""
    return runpy.run_path(str(SMOKE / name / "workload.py"))


def reproduced(folder: Path, files: Iterator[tuple[str, bytes]]) -> bool:
    """Say of each file whether the committed one has the same contents; return whether all have.

    A compressed archive made by another zlib has other bytes and the same arrays: that counts.
    """
    verdicts = []
    for name, content in files:
        path = folder / name
        same = path.is_file() and (path.read_bytes() == content or alike(path, content))
        verdicts.append(same)
        print(f"{name}: {'reproduced bit for bit' if same else 'differs from the committed file'}")
    return all(verdicts)


def alike(path: Path, content: bytes) -> bool:
    """Tell whether a file holds the arrays of an archive, bit for bit."""
    if path.suffix != ".npz":
        return False
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        mine, theirs = dict(archive), loaded(path)
    return list(mine) == list(theirs) and all(
        mine[name].dtype == theirs[name].dtype
        and mine[name].shape == theirs[name].shape
        and mine[name].tobytes() == theirs[name].tobytes()
        for name in mine
    )


def main(name: str, description: str, everything: Files, expected: Files) -> int:
    """Write a workload's files, or compare them; return the exit code.

    Args:
        name: the workload, which is its folder.
        description: one sentence for `--help`.
        everything: yields each file's name and bytes, after training where there is any.
        expected: yields `expected.npz` as it follows from the committed weights and inputs.
    """
    folder = SMOKE / name
    parser = argparse.ArgumentParser(description=description)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="make all again and compare with the committed files")
    mode.add_argument("--expected-only", action="store_true", help="compare only the expected answers; no training")
    words = parser.parse_args()
    if words.check or words.expected_only:
        return 0 if reproduced(folder, everything() if words.check else expected()) else 1
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in list(everything()):
        (folder / file).write_bytes(content)
        print(f"{file}: {len(content)} bytes")
    return 0
