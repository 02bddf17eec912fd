"""Looks up whether a registry has an image, over HTTP: no engine is needed, and a silent registry costs a second.

Staging uses `Engine.remote_digest` instead, because it needs the credentials of `docker login`.
"""

from __future__ import annotations

from armwright.plan.plan import Plan
from armwright.publish import stage
from armwright.system import http, http_session
from armwright.system.errors import FailedError, MachineError

_MANIFESTS = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
_ABSENT = (401, 403, 404)
_TIMEOUT = (1.0, 5.0)  # seconds to connect, seconds to answer


def find_staged(registry: str, plan: Plan) -> str:
    """Return the name under which a registry has a plan's image, which is proven if it is staged; empty if it has none.

    A registry that cannot be reached counts as one that does not have the image.
    """
    name, _, tag = plan.reference.partition(":")
    scheme = "http" if http_session.is_loopback(f"http://{registry}") else "https"
    url = f"{scheme}://{registry}/v2/{stage.STAGING}/{name}/manifests/{tag}"
    headers = {"Accept": _MANIFESTS}
    try:
        exists = http.request("HEAD", url, headers=headers, accept=_ABSENT, retries=0, timeout=_TIMEOUT).ok
    except (MachineError, FailedError):
        return ""
    return f"{registry}/{stage.STAGING}/{plan.tag}" if exists else ""
