"""Registries as they are: with a login, TLS, a path, immutable tags, read-only, broken; all real, on this machine."""

from __future__ import annotations

import base64
import json
import re
import shutil
import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from armwright.engine.client import Engine
from armwright.matrix.matrix import Matrix
from armwright.plan.plan import Plan, make_plan
from armwright.proof import evidence
from armwright.publish import arrival, credentials, lookup, stage
from armwright.publish.lookup import StagedName
from armwright.publish.reference import parse_destination
from armwright.publish.registry_client import RegistryClient
from armwright.publish.stage import StagedImage, StagingOptions
from armwright.system.errors import ArmwrightError, FailedError, MachineError
from tests import proofs, registries
from tests.engine.conftest import build_planned
from tests.registries import PASSWORD, USER, Asked, Reply, put_image, refuse, run_proxy, run_registry
from tests.support import Tree

COMBO = "pytorch-2.10.0-n1-acl"
AGAIN = f"invoke stage --combo {COMBO}"
Login = Callable[..., Path]
Helper = Callable[[str], Path]


@pytest.fixture(scope="module")
def project(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    """A copy of the project with one small image that is proven; its inputs are unique."""
    folder = tmp_path_factory.mktemp("registries")
    tree = Tree(folder / "project")
    with (tree.root / "scripts" / "machine.py").open("a") as script:
        script.write(f"# {uuid.uuid4()}\n")
    loaded = tree.load()
    _prove(loaded, engine, folder)
    yield loaded
    engine.untag(_plan(loaded).reference)


@pytest.fixture(autouse=True)
def login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Login:
    """Give docker a configuration of the test's own, empty until the test writes one."""
    folder = tmp_path / "docker"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    monkeypatch.delenv("ARMWRIGHT_REGISTRY", raising=False)

    def write(host: str = "", password: str = PASSWORD, **settings: object) -> Path:
        auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
        document = {**({"auths": {host: {"auth": auth}}} if host else {}), **settings}
        (folder / "config.json").write_text(json.dumps(document))
        return folder / "config.json"

    return write


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Helper:
    """Install docker-credential-test, which writes down its arguments and its input."""

    def install(script: str) -> Path:
        programs = tmp_path / "bin"
        programs.mkdir()
        program = programs / "docker-credential-test"
        program.write_text(f'#!/bin/sh\nprintf "%s %s" "$*" "$(cat)" > {programs}/asked\n{script}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(programs), prepend=":")
        return programs

    return install


@pytest.fixture
def plain(tmp_path: Path, port: int) -> Iterator[str]:
    with run_registry(tmp_path / "plain", f"127.0.0.1:{port}") as address:
        yield address


@pytest.fixture
def locked(tmp_path: Path, port: int) -> Iterator[str]:
    with run_registry(tmp_path / "locked", f"127.0.0.1:{port}", login=True) as address:
        yield address


def test_image_arrives_below_a_path(project: Matrix, plain: str, engine: Engine) -> None:
    (staged,) = _stage(project, f"{plain}/team/ml")
    assert staged.name == f"{plain}/team/ml/pytorch:2.10.0-n1-acl"
    client = RegistryClient(plain)
    assert client.find_digest("team/ml/pytorch", "2.10.0-n1-acl") == staged.digest
    assert _find(project, f"{plain}/team/ml") == StagedName(staged.name)
    assert _find(project, plain) == StagedName()
    assert not [name for name in engine.names() if name.startswith(plain)]


def test_upper_case_host_and_no_path_are_accepted(project: Matrix, plain: str) -> None:
    assert _stage(project, plain.replace("127.0.0.1", "LOCALHOST"))[0].name.startswith("localhost:")
    assert _stage(project, f"{plain}/")[0].name == f"{plain}/pytorch:2.10.0-n1-acl"


def test_login_is_needed_used_and_never_shown(
    project: Matrix, locked: str, login: Login, capfd: pytest.CaptureFixture[str]
) -> None:
    needed = _refused(project, locked, MachineError)
    assert needed.what == f"{locked} needs a login, and docker has none for it"
    assert needed.next_step == f"docker login {locked}"
    config = login(locked, "wr0ng-word")
    wrong = _refused(project, locked, MachineError)
    assert f"refuses the user and password that {config} has for it" in wrong.what
    assert wrong.next_step == f"docker login {locked}"
    login(locked)
    assert _stage(project, locked)
    shown = "".join(capfd.readouterr()) + needed.what + wrong.what + wrong.hint
    assert PASSWORD not in shown
    assert "wr0ng-word" not in shown
    assert repr(RegistryClient(locked).login) == "None"  # it has not asked yet


def test_lookup_uses_the_login(project: Matrix, locked: str, login: Login) -> None:
    login(locked)
    (staged,) = _stage(project, locked)
    assert _find(project, locked) == StagedName(staged.name)
    login()
    assert _find(project, locked) == StagedName()


def test_a_registry_is_believed_only_as_far_as_compared(
    project: Matrix, plain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (staged,) = _stage(project, plain)
    monkeypatch.setattr(lookup, "read_record", lambda *_: None)
    unrecorded = _find(project, plain)
    assert unrecorded.name == staged.name
    assert "compared by its labels, configuration and layers" in unrecorded.note
    monkeypatch.setattr(lookup, "read_record", lambda *_: f"sha256:{'1' * 64}")
    other = _find(project, plain)
    assert (other.name, f"it has the digest {staged.digest}" in other.note) == ("", True)


def test_any_manifest_under_the_name_is_not_the_image(
    project: Matrix, plain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_image(RegistryClient(plain), _plan(project).reference.partition(":")[2])
    monkeypatch.setattr(lookup, "read_record", lambda *_: None)
    found = _find(project, plain)
    assert (found.name, "is not the image of this plan" in found.note) == ("", True)


@pytest.mark.parametrize("setting", ["credsStore", "credHelpers"])
def test_helper_gives_the_login(project: Matrix, locked: str, login: Login, helper: Helper, setting: str) -> None:
    programs = helper(f"""echo '{{"Username": "{USER}", "Secret": "{PASSWORD}"}}'""")
    login(**{setting: "test" if setting == "credsStore" else {locked: "test"}})
    assert _stage(project, locked)
    assert (programs / "asked").read_text() == f"get {locked}"


@pytest.mark.parametrize(
    ("script", "message", "step"),
    [
        ("", "credsStore in .* names the helper 'test', but the program 'docker-credential-test' is not", "grep -n"),
        ("echo locked; exit 1", "names the helper 'test', and it failed with exit code 1", "docker-credential-test"),
        ("echo secret", "names the helper 'test', and its answer is not JSON", "docker-credential-test list"),
        ("echo credentials not found in native keychain; exit 1", "needs a login, and docker has none", "docker login"),
    ],
)
def test_helper_that_fails_is_named(  # noqa: PLR0913, PLR0917 - fixtures and the three of the table
    project: Matrix, locked: str, login: Login, helper: Helper, script: str, message: str, step: str
) -> None:  # fmt: skip
    if script:
        helper(script)
    login(credsStore="test")
    refused = _refused(project, locked, MachineError)
    assert re.search(message, refused.what)
    assert refused.next_step.startswith(step)
    assert "secret" not in refused.what


def test_helper_is_not_asked_for_an_open_registry(project: Matrix, plain: str, login: Login) -> None:
    login(credsStore="missing")
    assert _stage(project, plain)


def test_token_service_is_asked_with_the_login(project: Matrix, plain: str, login: Login) -> None:
    asked: list[Asked] = []
    with run_proxy(plain, registries.token_service(), asked) as address:
        assert _refused(project, address, MachineError).next_step == f"docker login {address}"
        login(address, "wr0ng-word")
        assert "refuses the user and password" in _refused(project, address, MachineError).what
        login(address)
        assert _stage(project, address)
    assert {request.authorization.partition(" ")[0] for request in asked} == {"", "Basic", "Bearer"}


@pytest.mark.parametrize("kind", ["scope", "status"])
def test_user_without_permission_is_told(project: Matrix, plain: str, login: Login, kind: str) -> None:
    def forbid(asked: Asked) -> Reply | None:
        writes = asked.method not in {"GET", "HEAD"}
        return refuse(403, "DENIED", "requested access to the resource is denied") if writes else None

    login("127.0.0.1")
    with run_proxy(plain, registries.token_service("pull") if kind == "scope" else forbid) as address:
        config = login(address)
        refused = _refused(project, address, MachineError if kind == "status" else FailedError)
    assert "/staging/pytorch" in refused.what
    assert refused.next_step == f"docker login {address}"
    if kind == "scope":
        assert f"the user of {address} in {config} has no permission to push" in refused.what


def test_untrusted_certificate_names_where_it_goes(
    project: Matrix, tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = registries.make_certificates(tmp_path / "tls", "127.0.0.1")
    with run_registry(tmp_path / "secure", f"127.0.0.1:{port}", certificates=made) as address:
        refused = _refused(project, address, MachineError)
        assert f"this machine does not trust the certificate of {address}" in refused.what
        assert refused.next_step == f"sudo install -D -m 644 CA.crt /etc/docker/certs.d/{address}/ca.crt"
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(made.authority))
        assert RegistryClient(address).scheme == "https"
        assert _stage(project, address)  # the engine trusts any certificate of 127.0.0.0/8


def test_unknown_host_is_not_the_local_registry(project: Matrix) -> None:
    refused = _refused(project, "registry.invalid/acme", MachineError)
    assert "this machine does not know the host registry.invalid" in refused.what
    assert refused.next_step == "getent hosts registry.invalid"


def test_plain_http_that_the_engine_refuses_is_named(project: Matrix, tmp_path: Path, engine: Engine) -> None:
    address = _find_address()
    with socket.create_server((address, 0)) as free:
        port = free.getsockname()[1]
    assert not engine.allows_plain_http(f"{address}:{port}")
    with run_registry(tmp_path / "open", f"{address}:{port}") as registry:
        refused = _refused(project, registry, MachineError)
    assert f"{registry} speaks plain HTTP, and the Docker Engine uses TLS for it" in refused.what
    assert f'"insecure-registries": ["{registry}"]' in refused.hint
    assert refused.next_step == "docker info --format '{{json .RegistryConfig}}'"


def test_read_only_registry_is_named_before_a_push(project: Matrix, tmp_path: Path, port: int) -> None:
    with run_registry(tmp_path / "frozen", f"127.0.0.1:{port}", read_only=True) as address:
        refused = _refused(project, address, FailedError)
    assert re.search(r"/staging/pytorch is read-only \(status 405", refused.what)


@pytest.mark.parametrize(
    ("reply", "message", "step"),
    [
        (
            refuse(429, "TOOMANYREQUESTS", "slow down", Retry_After="7"),
            "limits the number of requests for 7 s",
            "docker",
        ),
        (
            refuse(404, "NAME_UNKNOWN", "The repository with name 'x' does not exist"),
            "has no repository",
            "docker login",
        ),
        (refuse(503, "UNAVAILABLE", "try later"), r"fails \(status 503: UNAVAILABLE: try later\)", "curl"),
        (refuse(500, "UNKNOWN", "write: no space left on device"), "has no space left", "invoke registry gc"),
        (refuse(413, "", ""), "refuses large uploads", "curl"),
        (refuse(418, "TEAPOT", "short and stout"), r"refuses \(status 418: TEAPOT: short and stout\)", "docker login"),
        (
            Reply(502, b"<html>bad gateway\x1b[31m</html>"),
            r"fails \(status 502: <html>bad gateway\[31m</html>\)",
            "curl",
        ),
    ],
)
def test_each_refusal_has_its_cause(project: Matrix, plain: str, reply: Reply, message: str, step: str) -> None:
    with run_proxy(plain, lambda asked: reply if asked.method == "POST" else None) as address:
        refused = _refused(project, address, ArmwrightError)
    assert re.search(message, refused.what)
    assert refused.next_step.startswith(step)


def test_rate_limit_with_a_login_says_when_to_repeat(project: Matrix, locked: str, login: Login) -> None:
    reply = refuse(429, "TOOMANYREQUESTS", "slow down", Retry_After="7")
    with run_proxy(locked, lambda asked: reply if asked.authorization and asked.method == "POST" else None) as address:
        login(address)
        assert _refused(project, address, FailedError).next_step == f"sleep 7 && {AGAIN}"


def test_refused_zstd_is_named_and_no_name_moves(project: Matrix, plain: str) -> None:
    with run_proxy(plain, registries.no_zstd) as address:
        refused = _refused(project, address, FailedError)
    assert "older registries do not know layers compressed with zstd" in refused.what
    assert "/manifests/" in refused.what
    assert "--to" in refused.hint
    assert RegistryClient(plain).list_tags("staging/pytorch") == []


def test_moved_immutable_name_is_refused_with_both_digests(project: Matrix, plain: str) -> None:
    client, tag = RegistryClient(plain), _plan(project).reference.partition(":")[2]
    other = put_image(client, tag)
    asked: list[Asked] = []
    with run_proxy(plain, lambda _: None, asked) as address:
        refused = _refused(project, address, FailedError)
    assert other in refused.what
    assert _digest(project) in refused.what
    assert "immutable names never move, so nothing was pushed" in refused.what
    assert {request.method for request in asked} <= {"GET", "HEAD"}
    assert client.find_digest("staging/pytorch", tag) == other
    assert client.find_digest("staging/pytorch", "2.10.0-n1-acl") is None


def test_immutable_tags_allow_staging_without_moving(project: Matrix, plain: str) -> None:
    client = RegistryClient(plain)
    other = put_image(client, "2.10.0-n1-acl")
    path = "/v2/staging/pytorch/manifests/2.10.0-n1-acl"
    with run_proxy(plain, registries.immutable_tags({path})) as address:
        refused = _refused(project, address, FailedError)
        assert "does not let a name move to another image" in refused.what
        assert refused.next_step == f"{AGAIN} --no-move"
        (staged,) = _stage(project, address, move=False)
        assert staged.name == f"{address}/staging/{_plan(project).reference}"
        assert _find(project, address) == StagedName(staged.name)
    assert client.find_digest("staging/pytorch", "2.10.0-n1-acl") == other


def test_lost_blob_is_noticed_and_pushed_again(project: Matrix, tmp_path: Path, port: int) -> None:
    data = tmp_path / "kept" / "data"
    with run_registry(tmp_path / "kept", f"127.0.0.1:{port}") as address:
        _stage(project, address)
        client = RegistryClient(address)
        layer = json.loads(client.read_manifest("staging/pytorch", _digest(project)))["layers"][0]
    blob = data / "docker/registry/v2/blobs/sha256" / layer["digest"][7:9] / layer["digest"][7:]
    shutil.rmtree(blob)
    with run_registry(tmp_path / "kept", f"127.0.0.1:{port}") as address:  # its cache of blobs is empty again
        client = RegistryClient(address)
        problems = arrival.find_missing_blobs(client, "staging/pytorch", _digest(project), set())
        assert problems == [f"{layer['digest']} is absent"]
        _stage(project, address)
        assert arrival.find_missing_blobs(client, "staging/pytorch", _digest(project), set()) == []
        assert (blob / "data").stat().st_size == layer["size"]


def test_blob_that_never_arrives_moves_no_name(project: Matrix, plain: str) -> None:
    def lose(asked: Asked) -> Reply | None:
        return Reply(404) if asked.method == "HEAD" and "/blobs/" in asked.path and "python" in agent(asked) else None

    def agent(asked: Asked) -> str:
        return asked.headers.get("User-Agent", "").lower()

    with run_proxy(plain, lose) as address:
        refused = _refused(project, address, FailedError)
    assert re.search(r"has not arrived whole: sha256:[0-9a-f]{64} is absent", refused.what)
    assert RegistryClient(plain).find_digest("staging/pytorch", "2.10.0-n1-acl") is None


@pytest.mark.parametrize("had_one", [True, False])
def test_name_that_moved_wrongly_is_taken_back(project: Matrix, plain: str, had_one: bool) -> None:  # noqa: FBT001
    client = RegistryClient(plain)
    intruder = put_image(client, "intruder", "intruder")
    before = put_image(client, "2.10.0-n1-acl", "before") if had_one else None
    wrong: list[str] = []

    def swap(asked: Asked) -> Reply | None:
        """Let the name be another image's once, right after it moved."""
        if asked.method == "PUT" and asked.path.endswith("/manifests/2.10.0-n1-acl") and not wrong:
            wrong.append(asked.path)
            body = client.read_manifest("staging/pytorch", intruder)
            client.write_manifest("staging/pytorch", "2.10.0-n1-acl", body, json.loads(body)["mediaType"])
            return Reply(201)
        return None

    with run_proxy(plain, swap) as address:
        refused = _refused(project, address, FailedError)
    assert f"but the registry has {intruder} under it; the name " in refused.what
    if before:
        assert refused.what.endswith(f"was moved back to {before}")
        assert client.find_digest("staging/pytorch", "2.10.0-n1-acl") == before
    else:  # docker-registry 2.8 deletes no tag, and the intruder has a name of its own
        assert refused.what.endswith("could not be taken back")


def test_wrong_tag_is_removed_where_the_registry_allows(plain: str, tmp_path: Path) -> None:
    client = RegistryClient(plain)
    alone = put_image(client, "alone", "alone")
    assert arrival.remove_name(client, "staging/pytorch", "alone", alone)
    assert client.find_digest("staging/pytorch", "alone") is None
    shared = put_image(client, "first", "shared")
    assert put_image(client, "second", "shared") == shared
    assert not arrival.remove_name(client, "staging/pytorch", "first", shared)
    assert client.find_digest("staging/pytorch", "second") == shared
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with run_registry(tmp_path / "keeping", f"127.0.0.1:{port}", deletes=False) as address:
        client = RegistryClient(address)
        kept = put_image(client, "kept", "kept")
        assert not arrival.remove_name(client, "staging/pytorch", "kept", kept)


def test_damaged_configuration_shows_no_secret(project: Matrix, locked: str, login: Login) -> None:
    login().write_text('{"auths": {"x": {"auth": "c2VjcmV0"}')
    refused = _refused(project, locked, MachineError)
    assert re.search(r"config\.json is not valid JSON, line 1$", refused.what)
    login(auths={locked: {"auth": "%%%"}})
    with pytest.raises(MachineError, match=f"^the entry of {locked} in ") as damaged:
        credentials.read_login(locked)
    assert damaged.value.next_step == f"docker login {locked}"


def _prove(project: Matrix, engine: Engine, folder: Path) -> None:
    plan = _plan(project)
    proofs.keep(project.root, plan, build_planned(engine, plan, folder))


def _plan(project: Matrix) -> Plan:
    return make_plan(project, project.by_id[COMBO])


def _find(project: Matrix, to: str) -> StagedName:
    return lookup.find_staged(project.root, parse_destination(to, "--to"), _plan(project))


def _digest(project: Matrix) -> str:
    document = json.loads(evidence.evidence_path(project.root, COMBO).read_text())
    return str(document["image"])


def _stage(project: Matrix, to: str, *, move: bool = True) -> list[StagedImage]:
    options = StagingOptions(move=move, again=AGAIN)
    return stage.stage_images(project, [project.by_id[COMBO]], parse_destination(to, "--to"), options)


def _refused(project: Matrix, to: str, kind: type[ArmwrightError]) -> ArmwrightError:
    with pytest.raises(kind) as refused:
        _stage(project, to)
    return refused.value


def _find_address() -> str:
    """Return an address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return str(probe.getsockname()[0])
