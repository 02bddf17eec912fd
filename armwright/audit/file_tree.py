"""The file tree of an image as text: for each path its kind, mode, owner, time, and the sha256 of its content."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import IO, NamedTuple

from armwright.system import interrupt

Tree = Mapping[str, str]  # path -> description
KINDS = {tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "link", tarfile.LNKTYPE: "hard link"}
STREAM = 1 << 15  # bytes; the engine sends a tree in pieces of this size


class Entry(NamedTuple):
    """One file, folder or link: its path, its header, and its content, which for a link is where it points."""

    path: str
    header: tarfile.TarInfo
    content: bytes


def list_entries(archive: IO[bytes], engine: Collection[str] = ()) -> Iterator[Entry]:
    """Yield the entries of a tar stream, without the root folder.

    Args:
        archive: the stream.
        engine: globs over what an engine makes in every container: empty entries of these are left out.

    Raises:
        KeyboardInterrupt: the user interrupted.
    """
    with tarfile.open(fileobj=archive, mode="r|", bufsize=STREAM) as tar:
        for entry in tar:
            interrupt.check_interrupted()
            path = entry.name.removeprefix("./").strip("/")
            engines = not entry.size and any(fnmatchcase(path, glob) for glob in engine)
            if path not in {"", "."} and not engines:
                file = tar.extractfile(entry) if entry.isreg() else None
                yield Entry(path, entry, file.read() if file else entry.linkname.encode())


def describe_entry(entry: Entry) -> str:
    """Describe an entry: kind, mode, owner, time, attributes of the file system, size, sha256 of the content."""
    header = entry.header
    kind = "file" if header.isreg() else KINDS.get(header.type, "other")
    parts = [kind, f"{header.mode:04o}", f"{header.uid}:{header.gid}", str(int(header.mtime))]
    attributes = sorted(header.pax_headers.items())
    parts += [f"{name}={value.encode(errors='replace').hex()}" for name, value in attributes if "xattr" in name]
    return " ".join([*parts, str(len(entry.content)), hashlib.sha256(entry.content).hexdigest()])


def collect_tree(entries: Iterable[Entry], tree: dict[str, str]) -> Iterator[Entry]:
    """Pass entries on, and add the description of each to a tree."""
    for entry in entries:
        tree[entry.path] = describe_entry(entry)
        yield entry


def read_part(archive: bytes, parent: str) -> dict[str, str]:
    """Describe the entries of a small tar whose names are relative to a folder of the image."""
    entries = list_entries(io.BytesIO(archive))
    return {f"{parent}/{entry.path}".strip("/"): describe_entry(entry) for entry in entries}


def find_differences(expected: Tree, found: Tree) -> list[str]:
    """List paths that are missing, were added, or differ in anything."""
    differences = [f"missing {path}" for path in sorted(expected.keys() - found.keys())]
    differences += [f"added {path}" for path in sorted(found.keys() - expected.keys())]
    changed = (path for path in sorted(expected) if found.get(path, expected[path]) != expected[path])
    return differences + [f"changed {path}" for path in changed]


def hash_tree(tree: Tree) -> str:
    """Return the sha256 of a whole tree."""
    return f"sha256:{hashlib.sha256(to_text(tree).encode()).hexdigest()}"


def to_text(tree: Tree) -> str:
    """Return a tree as JSON, always in the same order."""
    return json.dumps(tree, sort_keys=True, separators=(",", ":"))
