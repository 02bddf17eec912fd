"""REGISTRY[/PATH…]: what is accepted, and what each refusal proposes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armwright.publish.reference import Destination, parse_destination
from armwright.system.errors import InputError


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("127.0.0.1:5001", "127.0.0.1:5001/staging/pytorch:1"),
        ("localhost", "localhost/staging/pytorch:1"),
        ("[::1]:5001", "[::1]:5001/staging/pytorch:1"),
        ("[::1]:5001/team", "[::1]:5001/team/pytorch:1"),
        ("GHCR.io/acme", "ghcr.io/acme/pytorch:1"),
        ("ghcr.io/acme/", "ghcr.io/acme/pytorch:1"),
        ("ghcr.io/", "ghcr.io/pytorch:1"),
        ("docker.io/acme", "docker.io/acme/pytorch:1"),
        ("index.docker.io/acme", "docker.io/acme/pytorch:1"),
        (
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/ml",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/ml/pytorch:1",
        ),
        ("acme.jfrog.io/docker-local/ml__a/b.c-d_e", "acme.jfrog.io/docker-local/ml__a/b.c-d_e/pytorch:1"),
        ("harbor.example:8443/project", "harbor.example:8443/project/pytorch:1"),
        ("registry:5000/a---b", "registry:5000/a---b/pytorch:1"),
    ],
)
def test_registries_and_paths_are_accepted(text: str, name: str) -> None:
    assert parse_destination(text, "--to").name("pytorch:1") == name


@pytest.mark.parametrize(
    ("text", "problem", "right"),
    [
        ("http://127.0.0.1:5000/a", "it begins with http://; give the host without a scheme", "127.0.0.1:5000/a"),
        ("oci://ghcr.io/acme", "it begins with oci://", "ghcr.io/acme"),
        ("ghcr.io/Acme", "in its path, 'Acme' at character 9 has upper-case letters", "ghcr.io/acme"),
        ("ghcr.io/a/b c", "'b c' at character 11 must be letters and digits", "ghcr.io/a/b-c"),
        ("ghcr.io//a", "'' at character 9 is empty", "ghcr.io/a"),
        ("ghcr.io/../a", "'..' at character 9 must be", "ghcr.io/a"),
        ("ghcr.io/a:latest", "'a:latest' at character 9 has a tag", "ghcr.io/a"),
        ("ghcr.io/a@sha256:" + "0" * 64, "it has a digest", "ghcr.io/a"),
        ("host:0", "0 is not a port", "host:5000"),
        ("host:65536/a", "65536 is not a port", "host:5000/a"),
        ("host:port", "'host:port' is not the host", "127.0.0.1:5000"),
        ("acme", "'acme' has no dot and no port, so Docker takes it for a user", "docker.io/acme"),
        ("docker.io", "Docker Hub needs the name of a user", "docker.io/acme"),
        ("docker.io/a/b", "names on Docker Hub have one part", "docker.io/a"),
        ("[::g]:5000", "'[::g]:5000' is not the host", "127.0.0.1:5000"),
        ("[1:2]:5000", "[1:2] is not an IPv6 address", "127.0.0.1:5000"),
        ("ghcr.io/" + "a" * 250, "its path has 250 characters", "ghcr.io"),
        ("", "'' is not the host", "127.0.0.1:5000"),
    ],
)
def test_refusal_names_the_place_and_the_nearest_value(text: str, problem: str, right: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_destination(text, "--to")
    assert problem in refused.value.what
    assert refused.value.hint == f"for example --to {right}"
    parse_destination(right, "--to")


@pytest.mark.parametrize(
    "text", ["https://ada:s3cret@ghcr.io/a", "ada:s3cret@ghcr.io/a", "ada:s3@cret@ghcr.io", "x://ada:s3/cret@ghcr.io"]
)
def test_password_in_a_value_is_never_shown(text: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_destination(text, "ARMWRIGHT_REGISTRY")
    assert "s3" not in refused.value.what + refused.value.hint
    assert refused.value.hint.startswith("for example ARMWRIGHT_REGISTRY=ghcr.io")


@settings(deadline=None)
@given(st.text() | st.from_regex(r"[a-zA-Z0-9:.\[\]-]{0,9}(/[a-zA-Z0-9._:@ -]{0,5}){0,4}", fullmatch=True))
def test_every_refusal_proposes_a_value_that_is_accepted(text: str) -> None:
    try:
        parsed = parse_destination(text, "--to")
    except InputError as refused:
        right = refused.hint.removeprefix("for example --to ")
        assert isinstance(parse_destination(right, "--to"), Destination)
    else:
        assert parse_destination(f"{parsed}/", "--to") == parsed
