"""Looking up an image in a registry: is it there already?"""

from __future__ import annotations

from armwright.plan.plan import Plan
from armwright.publish import stage
from armwright.system import http
from armwright.system.errors import FailedError, MachineError

_MANIFESTS = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
_ABSENT = (401, 403, 404)
_QUICK = (1.0, 5.0)  # seconds to connect, seconds for an answer


def find_staged(registry: str, plan: Plan) -> str:
    """Return the name under which a registry has a plan's image; what is staged is proven. Empty where it has none."""
    name, _, tag = plan.reference.partition(":")
    scheme = "http" if http.loopback(f"http://{registry}") else "https"
    url = f"{scheme}://{registry}/v2/{stage.STAGING}/{name}/manifests/{tag}"
    try:
        there = http.request("HEAD", url, headers={"Accept": _MANIFESTS}, accept=_ABSENT, retries=0, timeout=_QUICK).ok
    except (MachineError, FailedError):  # nobody is there to be asked
        return ""
    return f"{registry}/{stage.STAGING}/{plan.tag}" if there else ""
