"""The HTTP interface of a registry: what it has, whether it may be changed, and moving names.

The interface is that of opencontainers/distribution-spec, spec.md. Layers themselves are pushed by the Docker Engine.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from armwright.publish.access import Access
from armwright.publish.credentials import Login
from armwright.publish.reference import DOCKER_HUB
from armwright.publish.refusals import Attempt, explain_response, explain_unreachable
from armwright.system import http
from armwright.system.errors import FailedError, MachineError
from armwright.system.http import HttpResponse
from armwright.system.http_session import UnreachableError, find_ca_bundle, is_loopback

MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
PULL, PUSH = "pull", "pull,push"
LARGEST = 4 << 20  # bytes of a manifest or a list; the specification lets a registry refuse larger manifests
_REDIRECTS = {301, 302, 303, 307, 308}
_ABSENT = 404
_CERTIFICATES = (Path("/etc/docker/certs.d"), Path("~/.config/docker/certs.d"))


class RegistryClient:
    """A registry, reached once over TLS or, if it has none, over plain HTTP.

    Args:
        host: the registry's host, as in an image's name.
        plain: whether plain HTTP is allowed; it always is on this machine itself.
        timeout: seconds to connect, seconds between two bytes.
        retries: how often to retry a broken connection or a busy registry.

    Raises:
        MachineError: the registry cannot be reached.
        FailedError: it refuses or fails.
    """

    def __init__(
        self, host: str, *, plain: bool = False, timeout: tuple[float, float] = http.TIMEOUT, retries: int = 3
    ) -> None:
        self.host = host
        self._api = "registry-1.docker.io" if host == DOCKER_HUB else host
        self._timeout, self._retries = timeout, retries
        folders = [folder.expanduser() / host for folder in _CERTIFICATES]
        self._bundle = _make_bundle([file for folder in folders for file in sorted(folder.glob("*.crt"))])
        if self._bundle:
            weakref.finalize(self, Path(self._bundle).unlink, missing_ok=True)
        self._certificate = _find_client_certificate(folders)
        self._access = Access(host, self._exchange)
        self.scheme = "https"
        self.scheme = self._find_scheme(plain=plain or is_loopback(f"http://{self._api}"))

    @property
    def login(self) -> Login | None:
        """The login that the registry asked for."""
        return self._access.login

    def attempt(self, repository: str = "", by: str = "") -> Attempt:
        """Describe an attempt for an error."""
        return replace(self._access.attempt(repository), by=by, scheme=self.scheme)

    def find_digest(self, repository: str, reference: str) -> str | None:
        """Return the digest of a tag or digest; None if the repository or the reference does not exist."""
        response = self._request("HEAD", repository, f"manifests/{reference}", headers=_accepting(), accept=(_ABSENT,))
        if response.status == _ABSENT:
            return None
        stated = response.headers.get("Docker-Content-Digest", "")
        return stated or digest_of(self._read(repository, f"manifests/{reference}"))

    def fetch_digest(self, repository: str, tag: str) -> str | None:
        """Return the digest of what is served under a tag, whatever the registry states; None if there is nothing."""
        if self.find_digest(repository, tag) is None:
            return None
        return digest_of(self._read(repository, f"manifests/{tag}"))

    def read_manifest(self, repository: str, digest: str) -> bytes:
        """Return the manifest with a digest.

        Raises:
            FailedError: the registry returns other bytes.
        """
        return self._read_exact(repository, "manifest", digest)

    def read_blob(self, repository: str, digest: str) -> bytes:
        """Return a small blob, such as an image's configuration.

        Raises:
            FailedError: the registry returns other bytes, or more than `LARGEST`.
        """
        return self._read_exact(repository, "blob", digest)

    def _read_exact(self, repository: str, kind: str, digest: str) -> bytes:
        body = self._read(repository, f"{kind}s/{digest}")
        if digest_of(body) != digest:
            what = f"{self.attempt(repository).place} returns a {kind} of {digest_of(body)} for {digest}"
            raise FailedError(what, f"docker buildx imagetools inspect {self.host}/{repository}@{digest}")
        return body

    def find_blob(self, repository: str, digest: str) -> int | None:
        """Return the size of a blob in bytes, -1 if the registry does not say; None if it does not have the blob."""
        response = self._request("HEAD", repository, f"blobs/{digest}", accept=(_ABSENT,))
        if response.status == _ABSENT:
            return None
        if response.status in _REDIRECTS:  # to a store, which gets no credentials and may not answer a HEAD
            target = urljoin(self._url(repository, f"blobs/{digest}"), response.headers.get("Location", ""))
            try:
                response = self._exchange("HEAD", target, {}, None)
            except MachineError:  # nobody can pull the blob from a store that is not there
                return None
            if response.status == _ABSENT:
                return None
        stated = response.headers.get("Content-Length", "")
        return int(stated) if stated.isdecimal() and response.status < 300 else -1  # noqa: PLR2004 - an answer

    def require_push(self, repository: str) -> None:
        """Begin an upload and cancel it.

        Raises:
            MachineError: docker has no login for the registry, or a wrong one.
            FailedError: the user may not push, the registry is read-only, or it refuses for another reason.
        """
        path = "blobs/uploads/"
        response = self._request("POST", repository, path, actions=PUSH)
        place = response.headers.get("Location", "")
        target = urlsplit(urljoin(self._url(repository, path), place))
        if place and f"{target.scheme}://{target.netloc}" == f"{self.scheme}://{self._api}":
            header = self._access.header(repository, PUSH)
            self._exchange("DELETE", target.geturl(), {"Authorization": header} if header else {}, None)

    def write_manifest(self, repository: str, tag: str, manifest: bytes, media_type: str) -> None:
        """Give a manifest, whose blobs the registry has, a name."""
        kind = {"Content-Type": media_type}
        self._request("PUT", repository, f"manifests/{tag}", actions=PUSH, headers=kind, data=manifest)

    def list_tags(self, repository: str) -> list[str]:
        """Return the tags of a repository, sorted; none if it does not exist."""
        found, path = [], "tags/list?n=1000"
        while path:
            response = self._request("GET", repository, path, accept=(_ABSENT,))
            if response.status == _ABSENT:
                break
            found += _read_tags(response, self.attempt(repository))
            path = f"tags/list?{urlsplit(response.next_page).query}" if response.next_page else ""
        return sorted(found)

    def delete_manifest(self, repository: str, reference: str) -> bool:
        """Delete a tag, or a manifest with all its tags; return whether the registry did."""
        refused = (400, 401, 403, _ABSENT, 405, 415)
        path = f"manifests/{reference}"
        return self._request("DELETE", repository, path, actions="delete", accept=refused).status < 300  # noqa: PLR2004

    def _read(self, repository: str, path: str) -> bytes:
        response = self._request("GET", repository, path, headers=_accepting())
        if response.status in _REDIRECTS:  # to a store, which gets no credentials
            target = urljoin(self._url(repository, path), response.headers.get("Location", ""))
            response = self._exchange("GET", target, {}, None)
        return response.body

    def _request(  # noqa: PLR0913 - the parts of an HTTP request
        self,
        method: str,
        repository: str,
        path: str,
        *,
        actions: str = PULL,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
        accept: tuple[int, ...] = (),
    ) -> HttpResponse:
        """Send a request, and again with credentials if the registry asks for them."""
        url = self._url(repository, path)
        header = self._access.header(repository, actions)
        response = self._exchange(method, url, {**(headers or {}), **_authorized(header)}, data)
        if response.status == 401:  # noqa: PLR2004 - Unauthorized; a token may also have expired
            header = self._access.answer(response, repository, actions, secure=self.scheme == "https")
            response = self._exchange(method, url, {**(headers or {}), **_authorized(header)}, data)
        if response.status >= 400 and response.status not in accept:  # noqa: PLR2004 - an error
            raise explain_response(self.attempt(repository), response)
        return response

    def _exchange(self, method: str, url: str, headers: Mapping[str, str], data: bytes | None = None) -> HttpResponse:
        try:
            return self._send(method, url, headers, data, self._retries)
        except UnreachableError as error:
            raise explain_unreachable(self.attempt(), error) from error

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], data: bytes | None, retries: int
    ) -> HttpResponse:
        return http.exchange(
            method, url, limit=LARGEST, host=f"the registry {self.host}", headers=headers, data=data,
            bundle=self._bundle, certificate=self._certificate, retries=retries, timeout=self._timeout,
        )  # fmt: skip

    def _find_scheme(self, *, plain: bool) -> str:
        """Return how the registry is reached; no credentials are sent for this."""
        try:
            self._send("GET", f"https://{self._api}/v2/", {}, None, 0)
        except UnreachableError as error:
            if error.cause in {"not tls", "timeout", "other"} and self._answers_plainly():
                if plain:
                    return "http"
                raise explain_unreachable(self.attempt(), error, plain=True) from error
            raise explain_unreachable(self.attempt(), error) from error
        return "https"

    def _answers_plainly(self) -> bool:
        try:
            self._send("GET", f"http://{self._api}/v2/", {}, None, 0)
        except (UnreachableError, FailedError):
            return False
        return True

    def _url(self, repository: str, path: str) -> str:
        return f"{self.scheme}://{self._api}/v2/{repository}/{path}"


def digest_of(manifest: bytes) -> str:
    """Return the digest under which a registry stores a manifest."""
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


def _accepting() -> dict[str, str]:
    return {"Accept": ", ".join(MANIFEST_TYPES)}


def _authorized(header: str) -> dict[str, str]:
    return {"Authorization": header} if header else {}


def _read_tags(response: HttpResponse, attempt: Attempt) -> list[str]:
    try:
        return [str(tag) for tag in json.loads(response.body)["tags"] or ()]
    except (ValueError, KeyError, TypeError):
        raise FailedError(f"{attempt.place} returned no list of tags", f"curl -sSi {attempt.url}") from None


def _make_bundle(certificates: list[Path]) -> str | None:
    """Write the certificates that the Docker Engine trusts for a registry, and those of this machine, into one file.

    Returns:
        the file's path; None if there are only those of this machine.
    """
    if not certificates:
        return None
    common = find_ca_bundle()
    files = [*certificates, *([common] if common and common.is_file() else [])]
    try:
        content = b"\n".join(file.read_bytes() for file in files)
    except OSError as error:
        raise MachineError(f"a certificate cannot be read: {error}", f"ls -l {certificates[0].parent}") from None
    with tempfile.NamedTemporaryFile(prefix="armwright-ca-", suffix=".pem", delete=False) as bundle:
        bundle.write(content)
    return bundle.name


def _find_client_certificate(folders: list[Path]) -> tuple[str, str] | None:
    """Return the files of the client's certificate and key, `NAME.cert` and `NAME.key` as for the Docker Engine."""
    pairs = [(file, file.with_suffix(".key")) for folder in folders for file in sorted(folder.glob("*.cert"))]
    return next(((str(cert), str(key)) for cert, key in pairs if key.is_file()), None)
