"""Tamperings with what a package index and a mirror answer, and what is then said about it."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from packaging.version import Version

from armwright.fetch import apt_folder, debian_roots
from armwright.fetch.index_pages import IndexFile
from armwright.fetch.package_index import PackageIndex
from armwright.plan.locks import Deb
from armwright.system.errors import ArmwrightError, FailedError
from tests.registries import Asked, Reply, run_proxy
from tests.sabotage.ledger import Outcome
from tests.sabotage.tampering import Tampering, Workplace, expect_error

PAGE = b'<!DOCTYPE html><html><body><a href="torch-2.10.0-cp313-cp313-linux_aarch64.whl">torch</a></body></html>'
HTML = {"Content-Type": "text/html"}
LOGIN = b"<!DOCTYPE html><html><body><form action=/login>Please log in</form></body></html>"
_UNUSED = "127.0.0.1:9"  # nothing is passed on
CONTROL = "Package: {}\nVersion: {}\n"


def answered(*replies: Reply) -> Callable[[Workplace], Outcome]:
    """Let an index answer a query for a distribution in another way."""

    def attempt(_: Workplace) -> Outcome:
        queue = [Reply(200, PAGE, HTML), *replies]

        def answer(_: Asked) -> Reply:
            return queue.pop(0) if len(queue) > 1 else queue[0]

        with run_proxy(_UNUSED, answer) as address:
            index = PackageIndex((f"http://{address}/simple",))
            assert index.files("torch")
            return expect_error("index", FailedError, lambda: index.files("torch"))

    return attempt


def change_metadata(_: Workplace) -> Outcome:
    """Serve other METADATA than the page of the index promises."""
    with run_proxy(_UNUSED, lambda _: Reply(200, b"Name: torch\nVersion: 2.10.0\nRequires-Dist: planted\n")) as address:
        digest = hashlib.sha256(b"Name: torch\nVersion: 2.10.0\n").hexdigest()
        url = f"http://{address}/torch.whl"
        file = IndexFile("torch-2.10.0-py3-none-any.whl", url, Version("2.10.0"), metadata_sha256=digest)
        return expect_error("index", FailedError, lambda: PackageIndex((address,)).metadata(file))


def delivered(*packages: tuple[str, str, bytes]) -> Callable[[Workplace], Outcome]:
    """Let a mirror deliver packages, by name, version and content; one of them is locked."""

    def attempt(place: Workplace) -> Outcome:
        locked = {"netbase": Deb(version="6.4", sha256=hashlib.sha256(b"netbase").hexdigest())}

        def require(delivery: Mapping[Path, str]) -> None:
            debian_roots._require_locked(place.plan.base, debian_roots.read_debs(delivery), locked)

        require(_write(place.folder, ("netbase", "6.4", b"netbase")))
        return expect_error("package", FailedError, lambda: require(_write(place.folder, *packages)))

    return attempt


def _write(folder: Path, *packages: tuple[str, str, bytes]) -> dict[Path, str]:
    files = {}
    for name, version, content in packages:
        path = folder / f"{name}_{version}_all.deb"
        path.write_bytes(content)
        files[path] = CONTROL.format(name, version)
    return files


def explained(output: str) -> Callable[[Workplace], Outcome]:
    """Let apt fail with an output; return what the user is told, by the class of the error."""

    def attempt(_: Workplace) -> Outcome:
        failure = FailedError(f"apt-get update failed (exit code 100): {output}")
        error: ArmwrightError = apt_folder.explain_output(output, failure)
        return Outcome({type(error).__name__: error.what})

    return attempt


def _index(pattern: str, attempt: Callable[[Workplace], Outcome]) -> Tampering:
    return Tampering("server", "index", pattern, attempt)


def _package(*packages: tuple[str, str, bytes]) -> Tampering:
    return Tampering("server", "package", "differ from the lock: netbase|: planted", delivered(*packages))


def _told(kind: str, pattern: str, output: str) -> Tampering:
    return Tampering("server", kind, pattern, explained(output))


SITE = "http://mirror.example/debian"
UNSIGNED = f"E: The repository '{SITE} trixie InRelease' is not signed."
BAD_SIGNATURE = (
    f"W: An error occurred during the signature verification. GPG error: {SITE} trixie InRelease: "
    "The following signatures were invalid: BADSIG 0123456789ABCDEF\n"
    f"E: Failed to fetch {SITE}/dists/trixie/InRelease  "
    "The following signatures were invalid: BADSIG 0123456789ABCDEF\nE: Some index files failed to download."
)
CHANGED = f"E: Failed to fetch {SITE}/pool/main/n/netbase/netbase_6.4_all.deb  Hash Sum mismatch"
ANSWERS = r"\A(?!the package mirror cannot be reached)"  # it can: it answers, and what it says is wrong
SERVERS: Mapping[str, Tampering] = {
    "an index that fails": _index("answered with 500", answered(Reply(500))),
    "an index that answers with a login page": _index(".", answered(Reply(200, LOGIN, HTML))),
    "an index that answers with another kind of file": _index(
        ".", answered(Reply(200, PAGE, {"Content-Type": "application/pdf"}))
    ),
    "an index whose answer unpacks to gigabytes": _index(
        "more than", answered(Reply(200, gzip.compress(bytes(100_000_000)), {**HTML, "Content-Encoding": "gzip"}))
    ),
    "an index that promises other metadata": _index("does not match the hash", change_metadata),
    "a package with another content": _package(("netbase", "6.4", b"planted")),
    "a package of another version": _package(("netbase", "6.5", b"netbase")),
    "a package that nobody locked": _package(("netbase", "6.4", b"netbase"), ("planted", "1", b"planted")),
    "a package that is not delivered": _package(),
    "a mirror that is not signed": _told("UntrustedError", "signature is not trusted", UNSIGNED),
    "a mirror with a wrong signature": _told("UntrustedError", "signature is not trusted", BAD_SIGNATURE),
    "a mirror with a changed package": _told("*", ANSWERS, CHANGED),
    "a mirror that fails": _told("*", ANSWERS, f"E: Failed to fetch {SITE}/dists/trixie/InRelease  500  Internal"),
}  # fmt: skip
