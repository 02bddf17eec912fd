"""Writes, reads and compares the files of a workload. Every script in this folder has the same command line.

python -m training.NAME                  # make the files and write them
python -m training.NAME --check          # make them and compare with the committed files instead, bit for bit
python -m training.NAME --expected-only  # compare expected.npz only, computed from the committed weights
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


def pack_npz(arrays: Mapping[str, npt.NDArray[Any]], *, compressed: bool = False) -> bytes:
    """Return the bytes of an .npz. NumPy dates its members 1980-01-01, so the same arrays give the same bytes.

    Compressed bytes also depend on the version of zlib; compress only large arrays.
    """
    buffer = io.BytesIO()
    write = np.savez_compressed if compressed else np.savez
    write(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def load_npz(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read an .npz."""
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


def run_workload(name: str) -> dict[str, Any]:
    """Run a workload's `workload.py` and return its names: `prepare`, `score`, and in some `weights`."""
    return runpy.run_path(str(SMOKE / name / "workload.py"))


def compare_files(folder: Path, files: Iterator[tuple[str, bytes]]) -> bool:
    """Compare files with the committed ones, print the result of each, and return whether all are the same.

    Archives with the same arrays count as the same: another zlib compresses them to other bytes.
    """
    results = []
    for name, content in files:
        path = folder / name
        same = path.is_file() and (path.read_bytes() == content or has_arrays_of(path, content))
        results.append(same)
        print(f"{name}: {'reproduced bit for bit' if same else 'differs from the committed file'}")
    return all(results)


def has_arrays_of(path: Path, content: bytes) -> bool:
    """Return whether a file has the arrays of an archive, bit for bit."""
    if path.suffix != ".npz":
        return False
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        arrays, committed = dict(archive), load_npz(path)
    return list(arrays) == list(committed) and all(
        arrays[name].dtype == committed[name].dtype
        and arrays[name].shape == committed[name].shape
        and arrays[name].tobytes() == committed[name].tobytes()
        for name in arrays
    )


def main(name: str, description: str, make_files: Files, make_expected: Files) -> int:
    """Write a workload's files, or compare them; return the exit code.

    Args:
        name: the workload, the name of its folder.
        description: one sentence for `--help`.
        make_files: trains, if the workload has trained weights, and yields the name and bytes of each file.
        make_expected: yields `expected.npz`, computed from the committed weights and inputs.
    """
    folder = SMOKE / name
    parser = argparse.ArgumentParser(description=description)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="make all files and compare them with the committed ones")
    mode.add_argument("--expected-only", action="store_true", help="compare only the expected answers; no training")
    options = parser.parse_args()
    if options.check or options.expected_only:
        return 0 if compare_files(folder, make_files() if options.check else make_expected()) else 1
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in list(make_files()):
        (folder / file).write_bytes(content)
        print(f"{file}: {len(content)} bytes")
    return 0
