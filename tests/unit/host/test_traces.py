"""What could tell the machine of a builder: names, folders, hosts and passwords, certificate authorities."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from armwright.host import apt, traces
from armwright.system import http_session, pip_tool, process
from tests.support import ROOT

FIRST = """-----BEGIN CERTIFICATE-----
{body}
-----END CERTIFICATE-----
"""


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose apt and pip have no settings."""
    monkeypatch.setattr(pip_tool, "read_pip_settings", dict)
    monkeypatch.setattr(process, "find_program", lambda _: None)


def test_the_name_and_the_folders_of_the_machine_are_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "node", lambda: "builder7")
    monkeypatch.setenv("HOME", "/home/ada")
    found = traces.list_traces(Path("/srv/checkout"), [])
    assert found["builder7"] == "this machine's name"
    assert (found["/srv/checkout"], found["/home/ada"]) == ("the checkout", "the home folder")


def test_a_proxy_is_known_by_its_host_and_its_password_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:p%40ss@proxy.example:3128/")
    monkeypatch.setenv("UNRELATED", "http://other.example/")
    found = traces.list_traces(ROOT, ["*_PROXY"])
    names = [value for value, what in found.items() if what == "the variable HTTPS_PROXY"]
    assert names == ["proxy.example", "proxy.example:3128", "p%40ss", "p@ss"]


def test_pips_settings_have_hosts_and_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"index-url": "https://index.example/simple", "cert": "/etc/ssl/company.pem"}
    monkeypatch.setattr(pip_tool, "read_pip_settings", lambda: settings)
    found = traces.list_traces(ROOT, [])
    assert {value for value, what in found.items() if what == "pip's configuration"} == {
        "index.example", "/etc/ssl/company.pem",
    }  # fmt: skip


def test_apts_sources_have_hosts_and_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    listing = "'http://user:secret@mirror.example/debian/dists/trixie/InRelease' mirror.example_debian_InRelease 0 \n"
    monkeypatch.setattr(process, "find_program", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(process, "capture", lambda *_, **__: listing)
    monkeypatch.setattr(apt, "read_network_settings", lambda: ["Acquire::http::Proxy=http://apt-proxy.example:80"])
    found = traces.list_traces(ROOT, [])
    assert {value for value, what in found.items() if what.startswith("apt")} == {
        "mirror.example", "secret", "apt-proxy.example", "apt-proxy.example:80",
    }  # fmt: skip


def test_what_looks_like_an_address_and_is_none_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://[::1/ http://host.example:port/")
    found = traces.list_traces(ROOT, ["*_PROXY"])
    assert "the variable HTTP_PROXY" not in found.values()


def test_an_authority_that_the_image_has_too_is_no_trace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    public, company = (FIRST.format(body="\n".join([letter * 64] * 3 + [letter * 8])) for letter in "QR")
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(public + company)
    monkeypatch.setattr(http_session, "find_ca_bundle", lambda: bundle)
    assert traces.list_authorities(public) == {"R" * 64: "a certificate authority of this machine"}
    assert traces.list_authorities(public + company) == {}
