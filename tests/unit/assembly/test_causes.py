"""Output of failed tools becomes an error of the right kind, with the cause, the next command and a hint."""

from __future__ import annotations

import pytest

from armwright.assembly import buildx
from armwright.fetch import apt_folder, wheels
from armwright.system.errors import ArmwrightError, FailedError, InputError, MachineError

FAILURE = FailedError("'tool' exited with 1:\n  | its tail", "less x.log")

UNREACHABLE = """Looking in indexes: http://127.0.0.1:9/simple
WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection broken by \
'NewConnectionError('<pip._vendor.urllib3.connection.HTTPConnection object at 0x7efe7943e150>: Failed to establish a \
new connection: [Errno 111] Connection refused')': /simple/filelock/
ERROR: Could not find a version that satisfies the requirement filelock==4.2.11 (from versions: none)
ERROR: No matching distribution found for filelock==4.2.11
"""
UNRESOLVED = """WARNING: Retrying (Retry(total=1)) after connection broken by 'NameResolutionError("HTTPSConnection(\
host='index.example', port=443): Failed to resolve 'index.example' ([Errno -3] Temporary failure in name \
resolution)")': /simple/
ERROR: Could not find a version that satisfies the requirement torch==2.10.0 (from versions: none)
ERROR: No matching distribution found for torch==2.10.0
"""
NO_WHEEL = """ERROR: Could not find a version that satisfies the requirement torch==2.10.0 (from versions: 2.9.0, 2.9.1)
ERROR: No matching distribution found for torch==2.10.0
"""
WRONG_HASH = """ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated the \
package versions, please update the hashes. Otherwise, examine the package contents carefully; someone may have \
tampered with them.
    filelock==4.2.11 from https://files.example/filelock-4.2.11-py3-none-any.whl:
        Expected sha256 020e229e4bb9d410fc799c07ddf45fa217cba970278f40b30751d94f309b69e2
             Got        0cb84119fb8dce17898e1f69c974d5019daa59c4d7656be390a5fa59ccced912
"""
NO_CERTIFICATE = """WARNING: Retrying (Retry(total=0)) after connection broken by 'SSLError(\
SSLCertVerificationError(1, \
'[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate'))': /simple/torch/
ERROR: No matching distribution found for torch==2.10.0
"""
DISK = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n"


@pytest.mark.parametrize(
    ("output", "kind", "why", "next_step", "hint"),
    [
        (UNREACHABLE, MachineError, "the package index cannot be reached", "pip config list", "check the network"),
        (UNRESOLVED, MachineError, "the package index cannot be reached", "pip config list", "check the network"),
        (NO_CERTIFICATE, MachineError, "the package index cannot be reached", "pip config list", "check the network"),
        (DISK, MachineError, "the disk is full", "docker system prune", "same command again"),
        (NO_WHEEL, InputError, "the index does not have a locked wheel", "invoke lock", "what the index has"),
        (WRONG_HASH, InputError, "a wheel on the index differs from the locked one", "invoke lock", "who changed it"),
        (
            WRONG_HASH + UNREACHABLE,
            InputError,
            "a wheel on the index differs from the locked one",
            "invoke lock",
            "who changed it",
        ),
    ],
)
def test_pips_output_gives_the_kind_of_failure(
    output: str, kind: type[ArmwrightError], why: str, next_step: str, hint: str
) -> None:
    error = wheels._explain(output, FAILURE)
    assert type(error) is kind
    assert why in error.what
    assert "its tail" in error.what
    assert error.next_step == next_step
    assert hint in error.hint


STALE = """I: running apt-get update...
I: downloading packages with apt...
E: Version '3.5.6-1~deb13u2' for 'libssl3t64' was not found
E: apt-get --yes -oApt::Install-Recommends=false install failed: E: Unable to correct problems
"""
NO_MIRROR = """I: running apt-get update...
Err:1 http://mirror.example/debian trixie InRelease
  Could not connect to mirror.example:80 (127.0.0.1). - connect (111: Connection refused)
E: Failed to fetch http://mirror.example/debian/dists/trixie/InRelease  Could not connect to mirror.example:80
"""
NO_NAME = "Err:1 http://mirror.example/debian trixie InRelease\n  Could not resolve 'mirror.example'\n"
NO_KEY = "W: GPG error: http://x trixie InRelease: The following signatures couldn't be verified: NO_PUBKEY 6ED0E7B8\n"
NO_PACKAGE = "E: Unable to locate package libnonsense\n"
SITE = "E: Failed to fetch http://mirror.example/debian/dists/trixie/InRelease  "
INVALID = f"{SITE}The following signatures were invalid: "
FAILING = f"{SITE}500  Internal Server Error [IP: ::1 80]\n"
CHANGED = f"{SITE}Hash Sum mismatch\n   Hashes of expected file:\n"
SHORT = f"{SITE}File has unexpected size (12 != 13). Mirror sync in progress?\n"
FULL = "E: Write error - write (28: No space left on device)\n"


NO_SUITE = "E: The repository 'http://mirror.example/debian bullseye Release' does not have a Release file.\n"
NO_FILE = "E: Failed to fetch http://mirror.example/debian/pool/n/netbase_6.4_all.deb  404  Not Found [IP: ::1]\n"


@pytest.mark.parametrize(
    ("output", "gone"),
    [
        (STALE, "libssl3t64 3.5.6-1~deb13u2"),
        (NO_PACKAGE, "libnonsense"),
        (NO_FILE, "netbase 6.4"),
        (NO_SUITE, "the suite bullseye"),
    ],
)
def test_what_an_archive_had_once_is_gone(output: str, gone: str) -> None:
    error = apt_folder.explain_output(output, FAILURE)
    assert isinstance(error, apt_folder.GoneError)
    assert error.code == 2
    assert error.what == f"the archive no longer has {gone}"
    assert error.whole_suite is (output == NO_SUITE)


@pytest.mark.parametrize(
    ("output", "why", "next_step", "hint"),
    [
        (NO_MIRROR, "the package mirror cannot be reached", "apt-get update", "check the network"),
        (NO_NAME, "the package mirror cannot be reached", "apt-get update", "check the network"),
        (NO_KEY, "signature is not trusted", "apt-get install --reinstall debian-archive-keyring", ""),
        (FULL, "the disk is full", "docker system prune", ""),
        (FAILING, "the package mirror fails (HTTP 5xx)", "apt-get update", "ARMWRIGHT_MIRROR="),
        (CHANGED, "the package mirror delivers another file than its index", "apt-get update", "ARMWRIGHT_MIRROR="),
        (SHORT, "the package mirror delivers another file than its index", "apt-get update", "ARMWRIGHT_MIRROR="),
        (f"{INVALID}BADSIG 0123\n", "it is not that of the index", "apt-get update", "ARMWRIGHT_MIRROR="),
        (f"{INVALID}EXPKEYSIG 1\n", "not trusted; ", "apt-get install --reinstall debian-archive-keyring", ""),
        (f"W: GPG error: NO_PUBKEY 6ED0E7B8\n{NO_MIRROR}", "cannot be reached", "apt-get update", "the network"),
        (f"W: GPG error: NO_PUBKEY 6ED0E7B8\n{CHANGED}", "delivers another file", "apt-get update", ""),
    ],
)
def test_apts_output_gives_the_cause(output: str, why: str, next_step: str, hint: str) -> None:
    error = apt_folder.explain_output(output, FAILURE)
    assert isinstance(error, MachineError)
    assert why in error.what
    assert "its tail" in error.what
    assert error.next_step == next_step
    assert hint in error.hint
    assert error.hint.endswith("then run the same command again")  # setup would not help


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        (f"{INVALID}BADSIG 0123\n", apt_folder.UntrustedError),
        (f"{INVALID}EXPKEYSIG 0123\n", apt_folder.UntrustedError),
        (FAILING, apt_folder.SilentArchiveError),
        (CHANGED, apt_folder.SilentArchiveError),  # a snapshot may have the right file
    ],
)
def test_apts_output_gives_the_kind_of_failure(output: str, kind: type[MachineError]) -> None:
    assert type(apt_folder.explain_output(output, FAILURE)) is kind


@pytest.mark.parametrize(
    ("tail", "why", "next_step"),
    [
        ("ERROR: failed to solve: write /x: no space left on device", "the disk is full", "docker system prune"),
        ("cp: error writing '/x': No space left on device", "the disk is full", "docker system prune"),
        ("docker: 'buildx' is not a docker command.", "no buildx plugin", "./inv setup"),  # older clients
        ("docker: unknown command: docker buildx\n\nRun 'docker --help'", "no buildx plugin", "./inv setup"),  # 28.2
        ("unknown flag: --progress\nSee 'docker buildx build --help'.", "no buildx plugin", "./inv setup"),
        (
            "ERROR: failed to solve: Unavailable: error reading from server: EOF",
            "the Docker Engine stopped",
            "./inv setup",
        ),
        ('ERROR: no builder "nope" found', "the buildx builder does not exist", "docker buildx ls"),
        ('ERROR: failed to find driver "moon"', "the buildx builder does not exist", "docker buildx ls"),
    ],
)
def test_buildxs_output_gives_the_cause(tail: str, why: str, next_step: str) -> None:
    error = buildx._explain(FailedError(f"'docker buildx build' exited with 1:\n  | {tail}"))
    assert isinstance(error, MachineError)
    assert why in error.what
    assert error.next_step == next_step


def test_unknown_output_stays_the_failure() -> None:
    output = "something else"
    assert wheels._explain(output, FAILURE) is FAILURE
    assert apt_folder.explain_output(output, FAILURE) is FAILURE
    assert buildx._explain(FAILURE) is FAILURE
