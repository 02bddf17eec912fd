"""The layers themselves: nothing of the host in them, one time and owner, shared where they can be, the same twice."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
import ssl
import tarfile
import time
import zipfile
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from urllib.parse import urlsplit

import pytest

from armwright.engine.client import Engine
from armwright.engine.containers import PLATFORM
from armwright.plan.plan import COMPRESSION, FILE_TIME
from armwright.system import http_session, process

ROOT = Path(__file__).resolve().parents[2]
N1, V1, OPENBLAS = "pytorch-2.10.0-n1-acl", "pytorch-2.10.0-v1-acl", "pytorch-2.10.0-n1-openblas"
ALL = (N1, V1, "pytorch-2.10.0-a64fx-acl", OPENBLAS)  # of one version, with other targets and backends
Images = Mapping[str, Any]
Docker = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def layers(proven: Images, docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Path]]:
    """The image's layers as plain tars: BuildKit unpacks zstd, so that nothing else has to."""
    folder = tmp_path_factory.mktemp("layers")
    (folder / "Dockerfile").write_text(f"FROM --platform={PLATFORM} {proven[OPENBLAS].reference}\n")
    output = f"type=oci,dest={folder}/image.tar,compression=uncompressed,force-compression=true"
    done = docker(
        "buildx", "build", "--quiet", "--platform", PLATFORM, "--provenance=false", "--output", output, str(folder)
    )
    assert done.returncode == 0, done.stderr
    with tarfile.open(folder / "image.tar") as archive:
        archive.extractall(folder, filter="data")
    (folder / "image.tar").unlink()
    blobs = folder / "blobs" / "sha256"
    manifest = _document(blobs, _document(folder, "index.json")["manifests"][0]["digest"])
    paths = [blobs / layer["digest"].removeprefix("sha256:") for layer in manifest["layers"]]
    assert [f"sha256:{_sha256(path)}" for path in paths] == _diff_ids(docker, proven[OPENBLAS].reference)
    yield paths
    shutil.rmtree(folder)


def test_combos_of_one_version_share_the_two_large_layers(proven: Images, docker: Docker) -> None:
    first, *others = (_diff_ids(docker, proven[combo].reference) for combo in (N1, OPENBLAS, V1))
    assert len(first) == 3
    for other in others:
        assert other[:2] == first[:2]
        assert other[2] != first[2]


def test_shared_layers_are_stored_once_and_own_layers_are_small(proven: Images, docker: Docker, tmp_path: Path) -> None:
    archive = tmp_path / "images.tar"
    saved = docker("save", "--output", str(archive), *(proven[combo].reference for combo in ALL))
    assert saved.returncode == 0, saved.stderr
    with tarfile.open(archive) as content:
        blobs = {entry.name.rpartition("/")[2]: entry for entry in content if entry.name.startswith("blobs/sha256/")}
        manifests = []
        for combo in ALL:
            manifest = content.extractfile(blobs[proven[combo].image.digest.removeprefix("sha256:")])
            assert manifest is not None
            manifests.append(json.load(manifest))
    first, *others = ([layer["digest"] for layer in manifest["layers"]] for manifest in manifests)
    assert all(layers[:2] == first[:2] and layers[2] != first[2] for layers in others)
    own = [layer["size"] for manifest in manifests for layer in manifest["layers"][2:]]
    assert max(own) < 1_000_000
    image_bytes = sum(layer["size"] for layer in manifests[0]["layers"])
    assert sum(blob.size for blob in blobs.values()) < 1.1 * image_bytes
    archive.unlink()


def test_every_file_has_one_constant_time_and_belongs_to_root(layers: list[Path]) -> None:
    misfits = []
    for path in layers:
        with tarfile.open(path) as archive:
            for entry in archive:
                owner = (1000, 1000) if entry.name.strip("/") == "home/armwright" else (0, 0)
                if (entry.uid, entry.gid) != owner or entry.mtime != FILE_TIME:
                    misfits.append((entry.name, entry.uid, entry.gid, entry.mtime))
    assert misfits == []


def test_nothing_in_a_layer_is_setuid_or_world_writable(layers: list[Path]) -> None:
    misfits = []
    for path in layers:
        with tarfile.open(path) as archive:
            misfits += [
                (entry.name, oct(entry.mode))
                for entry in archive
                if not entry.issym() and (entry.mode & 0o6000 or (entry.mode & 0o002 and not entry.mode & 0o1000))
            ]
    assert misfits == []


def test_no_layer_or_configuration_names_the_host(layers: list[Path], proven: Images, docker: Docker) -> None:
    bundle = _member(layers[0], "etc/ssl/certs/ca-certificates.crt").decode()
    places = _own_places()
    for data in _downloaded(proven[OPENBLAS].context):
        places = {name: needle for name, needle in places.items() if needle not in data}
    needles = _own_authorities(bundle) | places
    assert needles, "this machine has nothing of its own to look for"
    configuration = docker("image", "inspect", proven[OPENBLAS].reference).stdout.encode()
    leaks = {
        (name, path.name[:12])
        for path, data in [*((path, path.read_bytes()) for path in layers), (Path("configuration"), configuration)]
        for name, needle in needles.items()
        if needle in data
    }
    assert leaks == set()


def test_the_same_search_finds_what_is_known_to_be_in_a_layer(layers: list[Path]) -> None:
    bundle = _member(layers[0], "etc/ssl/certs/ca-certificates.crt").decode()
    data = layers[0].read_bytes()
    assert all(_body(certificate) in data for certificate in _certificates(bundle))
    assert b"/usr/lib/python3.13" in data


def test_two_builds_from_nothing_give_the_proven_digest(
    proven: Images, docker: Docker, engine: Engine, prefix: str, tmp_path: Path
) -> None:
    n1 = proven[N1]
    options = ",".join(f"{key}={value}" for key, value in COMPRESSION.items())
    digests = []
    for number in (1, 2):
        context = tmp_path / f"context-{number}"
        shutil.copytree(n1.context, context, copy_function=shutil.copy)  # new times for every file
        name = f"{prefix}:again-{number}"
        done = docker(
            "buildx", "build", "--no-cache", "--platform", PLATFORM, "--provenance=false", "--output",
            f"type=image,name={name},{options}", str(context), env={"SOURCE_DATE_EPOCH": str(n1.plan.lock.epoch)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        digests.append(engine.names()[name])
        shutil.rmtree(context)
        time.sleep(1.1)  # not in the same second
    assert digests == [n1.image.digest] * 2


def test_the_command_in_the_dockerfile_builds_the_context(proven: Images, docker: Docker, prefix: str) -> None:
    n1 = proven[N1]
    text = (n1.context / "Dockerfile").read_text()
    line = re.search(r"^# +(SOURCE_DATE_EPOCH=\d+) docker (buildx build .*) \.$", text, re.MULTILINE)
    assert line, "the Dockerfile no longer says how it is built"
    name, value = line[1].split("=")
    reference = f"{prefix}:plain"
    done = docker(*shlex.split(line[2]), "--tag", reference, str(n1.context), env={name: value})
    assert done.returncode == 0, done.stderr[-2000:]
    assert _diff_ids(docker, reference) == _diff_ids(docker, n1.reference)
    ran = docker("run", "--rm", "--platform", PLATFORM, "--env", "QEMU_CPU=neoverse-n1", reference)
    assert ran.returncode == 0
    assert "PyTorch 2.10.0 for Arm Neoverse N1" in ran.stdout


def _own_authorities(image_bundle: str) -> dict[str, bytes]:
    """Name the certificates this host trusts and the image does not, each as it would appear in a file."""
    path = http_session.find_ca_bundle()
    host = path.read_text(encoding="utf-8", errors="replace") if path and path.is_file() else ""
    shipped = set(_certificates(image_bundle))
    own = [certificate for certificate in _certificates(host) if certificate not in shipped]
    needles = {}
    for number, certificate in enumerate(own):
        needles[f"authority {number}, as PEM"] = _body(certificate)
        needles[f"authority {number}, as DER"] = certificate
    return needles


def _own_places() -> dict[str, bytes]:
    """Name this host's package index, mirror and folders."""
    needles = {"the repository": str(ROOT).encode()}
    home = Path.home()
    if str(home) != "/root":  # every image has that one
        needles["the home"] = str(home).encode()
    settings = process.capture(["pip", "config", "list"])
    for url in re.findall(r"(?:https?|file)://[^\s'\"]+", settings):
        needles[f"pip: {url}"] = (urlsplit(url).netloc or url).encode()
    for folder in re.findall(r"find-links='([^']+)'", settings):
        needles |= {f"pip: {path}": path.encode() for path in folder.split() if path.startswith("/")}
    mirrors = process.capture(["apt-get", "update", "--print-uris"], check=False)
    hosts = {urlsplit(url).hostname for url in re.findall(r"https?://[^\s']+", mirrors)}
    return needles | {f"apt: {host}": host.encode() for host in hosts if host}


def _downloaded(context: Path) -> Iterator[bytes]:
    """Read everything that was downloaded for an image: its documentation may name a public mirror."""
    yield (context / "root.tar").read_bytes()
    for path in (context / "wheels").iterdir():
        with zipfile.ZipFile(path) as wheel:
            yield from map(wheel.read, wheel.namelist())


def _certificates(bundle: str) -> list[bytes]:
    blocks = re.findall(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", bundle, re.DOTALL)
    return [ssl.PEM_cert_to_DER_cert(block) for block in blocks]


def _body(certificate: bytes) -> bytes:
    """Take the last whole line of a certificate's PEM text, a part of its signature, which is unique."""
    text = b64encode(certificate)
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return lines[-2]


def _member(layer: Path, name: str) -> bytes:
    with tarfile.open(layer) as archive:
        data = archive.extractfile(name)
        assert data is not None
        return data.read()


def _diff_ids(docker: Docker, reference: str) -> list[str]:
    done = docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", reference)
    return list(json.loads(done.stdout))


def _document(folder: Path, name: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads((folder / name.removeprefix("sha256:")).read_text())


def _sha256(path: Path) -> str:
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()
