"""The causes of a failed push, from texts that engines and registries really write."""

from __future__ import annotations

import pytest

from armwright.publish.refusals import ENGINE, Attempt, explain_push_text, explain_response
from armwright.system.errors import MachineError
from armwright.system.http import HttpResponse

HOST = "registry.example"
BEFORE = Attempt(HOST, "acme/pytorch", by=ENGINE)


@pytest.mark.parametrize(
    ("text", "message", "command"),
    [
        ('Head "https://registry.example/v2/": http: server gave HTTP response to HTTPS client',
         "speaks plain HTTP, and the Docker Engine uses TLS for it", "docker info"),
        ("tls: failed to verify certificate: x509: certificate signed by unknown authority",
         "the Docker Engine does not trust the certificate of registry.example", "sudo install -D -m 644 CA.crt"),
        ("dial tcp: lookup registry.example on 192.0.2.1:53: no such host",
         "the Docker Engine does not know the host registry.example", "getent hosts registry.example"),
        ("proxyconnect tcp: dial tcp 192.0.2.9:3128: connect: connection refused",
         "the proxy of the Docker Engine refused the connection", "docker info --format 'http {{.HTTPProxy}}"),
        ("dial tcp 192.0.2.1:443: connect: connection refused", "registry.example does not answer", "curl -sS"),
        ("dial tcp 192.0.2.1:443: i/o timeout", "registry.example did not answer in time", "curl -sS"),
        ("failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized",
         "registry.example needs a login, and docker has none for it", "docker login registry.example"),
        ("push access denied, repository does not exist or may require authorization: server message: denied",
         "may not be changed without a login", "docker login registry.example"),
        ("server message: insufficient_scope: authorization failed",
         "may not be changed without a login", "docker login registry.example"),
        ("no basic auth credentials", "registry.example needs a login", "docker login registry.example"),
        ("denied: requested access to the resource is denied", "may not be changed without a login", "docker login"),
        ("toomanyrequests: You have reached your pull rate limit", "limits the number of requests", "docker login"),
        ("tag invalid: The image tag 'x' already exists in the repository and cannot be overwritten because it is immu",
         "does not let a name move", "invoke stage --help"),
        ("unexpected status from PUT request to https://registry.example/v2/acme/pytorch/manifests/x: 400 Bad Request",
         "older registries do not know layers compressed with zstd", "invoke stage --help"),
        ("status from PUT request to https://registry.example/v2/a/blobs/uploads/x?_state=secret : 413 Too Large",
         "refuses large uploads", "curl -sSI"),
        ("unexpected status from POST request to https://registry.example/v2/a/blobs/uploads/: 405 Method Not Allowed",
         "is read-only", "curl -sSI"),
        ("unexpected status from POST request to https://registry.example/v2/x/: 500 Internal Server Error",
         "registry.example fails", "curl -sSi"),
        ("something new", "registry.example/acme/pytorch refuses, as the Docker Engine reports (something new)",
         "docker login registry.example"),
    ],
)  # fmt: skip
def test_text_of_the_engine_has_its_cause(text: str, message: str, command: str) -> None:
    error = explain_push_text(BEFORE, text)
    assert message in error.what
    assert error.next_step.startswith(command)
    assert "secret" not in error.what


@pytest.mark.parametrize(
    ("login", "accepted", "message"),
    [
        ("", False, "needs a login, and docker has none"),
        ("/c.json", False, "refuses the user and password that /c.json has for it"),
        ("/c.json", True, "the user of registry.example in /c.json has no permission to push to"),
    ],
)
def test_401_depends_on_what_was_sent(login: str, accepted: bool, message: str) -> None:  # noqa: FBT001
    attempt = Attempt(HOST, "acme/pytorch", login, accepted)
    error = explain_response(attempt, HttpResponse(401, {}, b"unauthorized"))
    assert message in error.what
    assert isinstance(error, MachineError) is not accepted


def test_ecr_names_the_command_that_creates_the_repository() -> None:
    host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
    body = b'{"errors":[{"code":"NAME_UNKNOWN","message":"The repository with name \'ml/pytorch\' does not exist"}]}'
    error = explain_response(Attempt(host, "ml/pytorch", "/c.json"), HttpResponse(404, {}, body))
    assert error.next_step == "aws ecr create-repository --repository-name ml/pytorch"


def test_words_of_a_registry_are_short_and_printable() -> None:
    body = b'{"errors":[{"code":"X","message":"\\u001b[31m' + b"a" * 5000 + b'"}]}'
    error = explain_response(Attempt(HOST), HttpResponse(400, {}, body))
    assert len(error.what) < 400
    assert "\x1b" not in error.what
