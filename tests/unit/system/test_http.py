"""HTTP requests against servers on this machine: errors name the host, never a password, and the next command."""

from __future__ import annotations

import io

import pytest

from armwright.system import http
from armwright.system.errors import MachineError
from armwright.system.http_session import find_ca_bundle, is_loopback


def test_unreachable_registry_names_the_command_that_starts_it(port: int) -> None:
    with pytest.raises(
        MachineError, match=rf"^http://127.0.0.1:{port} cannot be reached: Connection refused$"
    ) as error:
        http.request("GET", f"http://user:secret@127.0.0.1:{port}/v2/", retries=0)
    assert error.value.next_step == "invoke registry start"
    assert not http.is_answering(f"http://127.0.0.1:{port}/v2/")


def test_unreachable_index_names_the_command_that_shows_it(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urllib3.util.Retry.sleep", lambda *_: None)
    with pytest.raises(MachineError, match=r"^the package index cannot be reached: Connection refused$") as error:
        http.fetch(f"http://user:secret@127.0.0.1:{port}/", io.BytesIO(), limit=1, host="the package index")
    assert error.value.next_step == "pip config list"
    assert error.value.hint


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:5000/v2/", True),
        ("http://[::1]:5000", True),
        ("http://localhost", True),
        ("https://registry.example", False),
        ("http://10.0.0.1", False),
    ],
)
def test_loopback_is_recognized(url: str, *, expected: bool) -> None:
    assert is_loopback(url) is expected


def test_ca_bundle_is_the_first_named_file(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "PIP_CERT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CERT", "/absent/pip.pem")
    assert str(find_ca_bundle()) == "/absent/pip.pem"
    monkeypatch.setenv("SSL_CERT_FILE", "/absent/openssl.pem")
    assert str(find_ca_bundle()) == "/absent/openssl.pem"
