"""Which mirror a suite comes from, with the options of this machine's sources; and what apt's failures mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from armwright.host import apt, apt_sources, needs
from armwright.host.apt_sources import AptSource
from armwright.system import process
from armwright.system.errors import FailedError, InputError

DEBIAN = {"ID": "debian", "VERSION_CODENAME": "bookworm"}
SUITES = ("trixie", "trixie-updates", "trixie-security")
LINES = """\
# deb http://old.example/debian bookworm main
deb [arch=amd64 check-valid-until=no signed-by=/etc/apt/keyrings/corp.gpg] http://mirror.example/debian bookworm main
deb http://mirror.example/debian bookworm-updates main contrib
"""
BLOCKS = """\
# the security updates
Types: deb
URIs: http://security.example/debian-security/
Suites: bookworm-security
Components: main
Check-Date: no
Trusted: yes
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEZ

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Enabled: no
"""
LISTING = "".join(
    f"'{site}/dists/{suite}/InRelease' x 0\n"
    for site, suite in (
        ("http://mirror.example/debian", "bookworm"), ("http://mirror.example/debian", "bookworm-updates"),
        ("http://security.example/debian-security", "bookworm-security"),
    )
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sources.list").write_text(LINES)
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "security.sources").write_text(BLOCKS)
    (tmp_path / "sources.list.d" / "old.list.save").write_text("deb http://saved.example/debian bookworm main\n")
    return tmp_path


def test_both_formats_are_read(folder: Path) -> None:
    sources = apt_sources.read_sources(folder)
    assert [(source.site, source.suites) for source in sources] == [
        ("http://mirror.example/debian", ("bookworm",)),
        ("http://mirror.example/debian", ("bookworm-updates",)),
        ("http://security.example/debian-security/", ("bookworm-security",)),
    ]
    assert sources[0].age_options == ("check-valid-until=no",)
    assert sources[0].keyrings == ("/etc/apt/keyrings/corp.gpg",)
    assert sources[2].age_options == ("check-date=no",)
    assert sources[2].keyrings == ()  # a key that is written inside a source is not a file


def test_source_of_a_mirror_is_found_without_its_password(folder: Path) -> None:
    found = apt_sources.find_source(
        apt_sources.read_sources(folder), "http://me:hush@mirror.example/debian/", "bookworm"
    )
    assert found.keyrings == ("/etc/apt/keyrings/corp.gpg",)
    other = apt_sources.find_source(apt_sources.read_sources(folder), "http://other.example/debian", "bookworm")
    assert (other.site, other.options) == ("http://other.example/debian", {})


def test_copy_of_a_source_is_as_private_as_its_file(folder: Path) -> None:
    (folder / "sources.list").chmod(0o640)
    modes = [source.mode for source in apt_sources.read_sources(folder)]
    assert modes == [0o640, 0o640, 0o644]
    site = "http://me:hush@mirror.example/debian"
    assert apt_sources.find_source(apt_sources.read_sources(folder), site, "bookworm").mode == 0o640


def test_base_comes_from_this_machines_mirrors(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = apt_sources.read_sources(folder)
    monkeypatch.setattr(process, "capture", lambda *_, **__: LISTING)
    monkeypatch.setattr(apt_sources, "read_sources", lambda: sources)
    monkeypatch.delenv(apt_sources.MIRROR_VARIABLE, raising=False)
    mirrors = apt_sources.find_mirrors(SUITES, DEBIAN)
    assert mirrors["trixie"].age_options == ("check-valid-until=no",)
    assert mirrors["trixie-security"].site == "http://security.example/debian-security"
    monkeypatch.setattr(process, "capture", lambda *_, **__: LISTING.split("'http://security")[0])
    assert apt_sources.find_mirrors(SUITES, DEBIAN) == {}
    assert apt_sources.find_mirrors(SUITES, {"ID": "ubuntu", "VERSION_CODENAME": "noble"}) == {}


@pytest.mark.parametrize(
    ("text", "sites"),
    [
        ("http://a.example/debian/", ("http://a.example/debian", "http://a.example/debian-security")),
        ("https://a.example/d  https://b.example/s", ("https://a.example/d", "https://b.example/s")),
        ("file:///srv/debian", ("file:///srv/debian", "file:///srv/debian-security")),
        ("", None),
    ],
)
def test_named_mirror_replaces_this_machines(
    text: str, sites: tuple[str, str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(apt_sources.MIRROR_VARIABLE, text)
    assert apt_sources.read_named_mirror() == sites
    if sites:
        mirrors = apt_sources.find_mirrors(SUITES, {"ID": "ubuntu"})
        assert [source.site for source in mirrors.values()] == [sites[0], sites[0], sites[1]]


@pytest.mark.parametrize(
    "text", ["mirror.example", "http://a/d http://b/s http://c/x", "http://a/d]", "ftp://hush@a/d"]
)
def test_named_mirror_must_be_an_address(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(apt_sources.MIRROR_VARIABLE, text)
    with pytest.raises(InputError, match="ARMWRIGHT_MIRROR is not the address of a mirror") as refused:
        apt_sources.read_named_mirror()
    assert refused.value.next_step == "unset ARMWRIGHT_MIRROR"
    assert "hush" not in refused.value.what


def test_setups_own_source_has_the_options_of_the_hosts() -> None:
    recipe = needs.load_host_recipe("debian", "12")
    assert recipe is not None
    options = {"check-valid-until": "no", "trusted": "yes", "signed-by": "/etc/apt/keyrings/corp.gpg"}
    text = apt_sources.render_source(recipe, AptSource("http://mirror.example/debian", ("bookworm",), options))
    assert "\nCheck-Valid-Until: no\n" in text
    assert "\nTrusted: yes\n" in text
    assert f"\nSigned-By: {recipe.keyring} /etc/apt/keyrings/corp.gpg\n" in text
    plain = apt_sources.render_source(recipe, AptSource("http://mirror.example/debian", ("bookworm",)))
    assert plain.endswith(f"Signed-By: {recipe.keyring}\n")


@pytest.mark.parametrize(
    ("output", "why", "hint"),
    [
        ("  401  Unauthorized [IP: 127.0.0.1 80]", "the package mirror wants a login (HTTP 401)", "machine HOST login"),
        ("  403  Forbidden [IP: 127.0.0.1 80]", "the package mirror refuses the request (HTTP 403)", "auth.conf.d"),
        ("  407  Proxy Authentication Required", "apt's proxy wants a login (HTTP 407)", "Acquire::http::Proxy"),
        (
            "E: Failed to fetch http://m/dists/trixie/main/binary-arm64/Packages  404  Not Found [IP: 127.0.0.1 80]",
            "the package mirror has no packages for arm64", "ARMWRIGHT_MIRROR=",
        ),
        (
            "N: Skipping acquire of 'main/binary-arm64/Packages' as 'http://m' doesn't support architecture 'arm64'",
            "the package mirror has no packages for arm64", "ARMWRIGHT_MIRROR=",
        ),
        (
            "E: Release file for http://m/dists/trixie/InRelease is expired (invalid since 3d 2h)",
            "the package mirror's index has expired", "check-valid-until=no",
        ),
    ],
)  # fmt: skip
def test_apts_failure_has_its_cause(output: str, why: str, hint: str) -> None:
    error = apt.explain_failure(output, FailedError("apt failed"))
    assert error is not None
    assert error.what.startswith(why)
    assert hint in error.hint
