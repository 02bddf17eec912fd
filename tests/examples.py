"""The examples in docs/examples, read for tests: as documents, and as options of `docker run`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tests.support import ROOT

EXAMPLES = ROOT / "docs" / "examples"
MEMORY = "/dev/shm"  # noqa: S108 - a folder of a container


def read_documents(name: str) -> list[Any]:
    """Return the YAML documents of an example."""
    return list(yaml.safe_load_all((EXAMPLES / name).read_text(encoding="utf-8")))


def read_pod() -> Any:  # noqa: ANN401 - a YAML document
    """Return the pod of the Kubernetes manifest."""
    return read_documents("kubernetes.yaml")[0]["spec"]["template"]["spec"]


def read_service() -> Any:  # noqa: ANN401 - a YAML document
    """Return the service of the Compose file."""
    return read_documents("compose.yaml")[0]["services"]["server"]


def list_pod_options(pod: Mapping[str, Any]) -> Iterator[str]:
    """Yield the options of `docker run` that run the pod's container as Kubernetes does."""
    (container,) = pod["containers"]
    security, limits = container["securityContext"], container["resources"]["limits"]
    yield from ("--cpus", limits["cpu"], "--memory", limits["memory"].removesuffix("i"))
    if security["readOnlyRootFilesystem"]:
        yield "--read-only"
    if not security["allowPrivilegeEscalation"]:
        yield "--security-opt=no-new-privileges"
    yield from (f"--cap-drop={name}" for name in security["capabilities"]["drop"])
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    for mount in container["volumeMounts"]:
        volume, path = volumes[mount["name"]], mount["mountPath"]
        if "configMap" in volume:
            yield f"--volume={EXAMPLES / volume['configMap']['name']}.py:{path}/server.py:ro"
        elif path == MEMORY:
            yield f"--shm-size={volume['emptyDir']['sizeLimit'].removesuffix('i')}"
        else:
            yield f"--tmpfs={path}:mode=1777"


def list_service_options(service: Mapping[str, Any]) -> Iterator[str]:
    """Yield the options of `docker run` that run the service as Compose does."""
    yield from ("--platform", service["platform"], "--cpus", str(service["cpus"]), "--memory", service["mem_limit"])
    yield from ("--shm-size", service["shm_size"])
    if service["read_only"]:
        yield "--read-only"
    yield from (f"--tmpfs={path}" for path in service["tmpfs"])
    yield from (f"--cap-drop={name}" for name in service["cap_drop"])
    yield from (f"--security-opt={option}" for option in service["security_opt"])
    for volume in service["volumes"]:
        source, _, rest = volume.partition(":")
        yield f"--volume={(EXAMPLES / source).resolve()}:{rest}"
