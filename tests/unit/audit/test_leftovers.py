"""What a builder could leave in an image: files, text, owners, modes and times."""

from __future__ import annotations

import io
import tarfile

import pytest

from armwright.audit import leftovers
from armwright.audit.file_tree import list_entries
from armwright.audit.leftovers import Leftover, Traces
from armwright.plan.plan import FILE_TIME
from armwright.system.errors import InputError
from tests.support import ROOT, Tree

RULES = leftovers.load_rules(ROOT)
NOTHING = Traces({}, {})
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAAAA\n{}\n-----END CERTIFICATE-----\n"


def make_file(path: str, data: bytes = b"any", **entry: int) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(path)
    info.size, info.mode, info.mtime = len(data), 0o644, FILE_TIME
    for name, value in entry.items():
        setattr(info, name, value)
    return info, data


def make_folder(path: str, mode: int = 0o755, **entry: int) -> tuple[tarfile.TarInfo, bytes]:
    info, data = make_file(path, b"", mode=mode, **entry)
    info.type = tarfile.DIRTYPE
    return info, data


def find(*entries: tuple[tarfile.TarInfo, bytes], traces: Traces = NOTHING) -> list[Leftover]:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))
    stream.seek(0)
    return list(leftovers.find_leftovers(list_entries(stream, RULES.engine), RULES, traces, FILE_TIME))


def kinds(found: list[Leftover]) -> list[tuple[str, str]]:
    return [(leftover.kind, leftover.path) for leftover in found]


def test_a_clean_image_has_none() -> None:
    entries = [
        make_folder("."), make_folder("root", 0o700), make_folder("tmp", 0o1777), make_file("usr/bin/a", mode=0o755),
        make_folder("home/armwright", uid=1000, gid=1000), make_file("etc/debian_version"), make_folder("var/cache"),
    ]  # fmt: skip
    assert find(*entries) == []


@pytest.mark.parametrize(
    "path",
    [
        "etc/apt/sources.list", "etc/apt/sources.list.d/mirror.sources", "etc/apt/auth.conf.d/mirror.conf",
        "var/lib/apt/lists/mirror_Release", "var/cache/apt/pkgcache.bin", "var/log/dpkg.log", "etc/machine-id",
        "root/.cache/pip/a", "home/armwright/.netrc", "tmp/a", "opt/app/.ssh/id_ed25519", "usr/lib/pip.conf",
        "usr/lib/python3/dist-packages/a-1.dist-info/direct_url.json",
    ],
)  # fmt: skip
def test_files_of_a_builder_are_found_by_name(path: str) -> None:
    assert ("file", path) in kinds(find(make_file(path)))


@pytest.mark.parametrize("path", ["root/.bashrc", "root/.profile", "etc/apt/apt.conf.d/01autoremove", "etc/hostnames"])
def test_files_of_packages_are_not(path: str) -> None:
    assert find(make_file(path)) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("deb http://user:secret@mirror.example/debian trixie main", "an address with a password"),
        (f"-----BEGIN RSA PRIVATE KEY-----\n{'A' * 64}\n", "a private key"),
        ("127.0.0.1 buildkitsandbox", "the name of BuildKit's container"),
    ],
)
def test_text_of_a_builder_is_found_in_every_file(text: str, reason: str) -> None:
    (leftover,) = find(make_file("usr/share/note", text.encode()))
    assert (leftover.kind, leftover.what) == ("text", reason)


def test_the_target_of_a_link_is_searched_too() -> None:
    info, _ = make_file("usr/bin/tool", b"")
    info.type, info.linkname = tarfile.SYMTYPE, "/srv/checkout/build/tool"
    (leftover,) = find((info, b""), traces=Traces({"/srv/checkout": "the checkout"}, {}))
    assert (leftover.kind, leftover.path, leftover.what) == ("text", "usr/bin/tool", "the checkout")


@pytest.mark.parametrize(
    ("text", "found"),
    [("on builder7.", 1), ("builder7", 1), ("rebuilder7", 0), ("builder70", 0), ("builder70 builder7", 1)],
)
def test_a_name_of_the_machine_is_a_whole_word(text: str, found: int) -> None:
    traces = Traces({"builder7": "this machine's name"}, {})
    assert len(find(make_file("usr/share/note", text.encode()), traces=traces)) == found


def test_an_authority_is_looked_for_in_certificates_only() -> None:
    line = "Q" * 64
    traces = Traces({}, {line: "a certificate authority of this machine"})
    assert kinds(find(make_file("etc/ssl/a.pem", CERTIFICATE.format(line).encode()), traces=traces)) == [
        ("text", "etc/ssl/a.pem")
    ]
    assert find(make_file("usr/share/note", line.encode()), traces=traces) == []


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        (make_file("usr/a", uid=1000), "owner"),
        (make_file("usr/a", gid=50), "owner"),
        (make_folder("home/armwright"), "owner"),
        (make_file("usr/a", mode=0o600), "mode"),
        (make_file("usr/a", mode=0o664), "mode"),
        (make_file("usr/bin/su", mode=0o4755), "mode"),
        (make_folder("usr/lib", 0o700), "mode"),
        (make_folder("root", 0o755), "mode"),
        (make_folder("tmp", 0o777), "mode"),
        (make_file("usr/a", mtime=FILE_TIME + 1), "time"),
    ],
)
def test_owners_modes_and_times_are_those_of_the_plan(entry: tuple[tarfile.TarInfo, bytes], kind: str) -> None:
    assert kinds(find(entry)) == [(kind, entry[0].name)]


def test_what_the_engine_makes_is_not_of_the_builder() -> None:
    entries = [make_file(".dockerenv", b"", mtime=1), make_folder("dev", mtime=1), make_file("etc/hosts", b"")]
    assert find(*entries) == []
    assert ("file", "etc/hosts") in kinds(find(make_file("etc/hosts", b"10.0.0.1 builder")))


def test_values_that_say_nothing_are_not_looked_for() -> None:
    values = {"localhost": "a host", "short": "a folder", "mirror.example": "a host"}
    assert RULES.select_traces(values) == {"mirror.example": "a host"}


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        ("least: 6", "least: 2", "least"),
        ('pattern: "buildkitsandbox"', 'pattern: "("', "not a regular expression"),
        ("home/armwright: ", "/home/armwright: ", "should match pattern"),
    ],
)
def test_mistakes_in_the_rules_are_named(tree: Tree, old: str, new: str, mistake: str) -> None:
    tree.edit(leftovers.RULES, old, new)
    with pytest.raises(InputError, match=mistake) as refused:
        leftovers.load_rules(tree.root)
    assert f"{leftovers.RULES}:" in refused.value.what
