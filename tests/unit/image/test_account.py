"""Where a program may write and under which name, for users with and without an entry and a home."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import account
import pytest

MEMORY, HOME = "/dev/shm", "/home/armwright"  # noqa: S108 - the names are the point
Chosen = Callable[..., dict[str, str | None]]


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> Chosen:
    """Choose for a user on a machine where some folders can be written to."""

    def choose(
        *writable: str, entry: tuple[str, str] = ("", ""), private: str = "", **environ: str
    ) -> dict[str, str | None]:
        monkeypatch.setattr(account, "_is_writable", set(writable).__contains__)
        monkeypatch.setattr(account, "_read_entry", lambda: entry)
        monkeypatch.setattr(account, "_make_private", lambda parent: f"{parent}/own" if parent == private else None)
        monkeypatch.setattr(os, "getuid", lambda: 12345)
        return {choice.name: choice.value for choice in account.choose_account(environ)}

    return choose


def test_the_image_s_own_user_needs_nothing(chosen: Chosen) -> None:
    assert chosen("/tmp", HOME, entry=("armwright", HOME), HOME=HOME) == {}  # noqa: S108 - the names are the point
    assert chosen("/tmp", entry=("armwright", HOME), HOME=HOME) == {}  # noqa: S108 - as above


def test_a_user_without_an_entry_gets_a_name_and_a_home(chosen: Chosen) -> None:
    found = chosen("/tmp", private="/tmp", HOME="/")  # noqa: S108 - as above
    assert found == {"USER": "12345", "LOGNAME": "12345", "HOME": "/tmp/own"}  # noqa: S108 - as above


def test_an_entry_that_the_engine_wrote_without_a_home_gets_one(chosen: Chosen) -> None:
    found = chosen("/tmp", entry=("12345", "/"), private="/tmp", HOME="/")  # noqa: S108 - as above
    assert found == {"HOME": "/tmp/own"}  # noqa: S108 - as above


def test_a_home_that_nobody_named_is_the_entry_s(chosen: Chosen) -> None:
    assert chosen("/tmp", HOME, entry=("armwright", HOME)) == {"HOME": HOME}  # noqa: S108 - as above


def test_root_keeps_its_home(chosen: Chosen) -> None:
    assert chosen("/", "/tmp", entry=("root", "/root"), HOME="/") == {}  # noqa: S108 - as above


@pytest.mark.parametrize("name", ["USER", "LOGNAME", "LNAME", "USERNAME"])
def test_a_name_that_the_user_set_is_kept(chosen: Chosen, name: str) -> None:
    assert chosen("/tmp", HOME="/work", **{name: ""}) == {}  # noqa: S108 - as above


@pytest.mark.parametrize("home", ["/work", ""])
def test_a_home_that_the_user_set_is_kept(chosen: Chosen, home: str) -> None:
    assert "HOME" not in chosen("/tmp", private="/tmp", HOME=home)  # noqa: S108 - as above


def test_in_a_read_only_container_memory_holds_files(chosen: Chosen) -> None:
    found = chosen(MEMORY, private=MEMORY, USER="me", HOME="/")
    assert found == {"TMPDIR": MEMORY, "HOME": f"{MEMORY}/own"}


@pytest.mark.parametrize("folder", ["/tmp", "/var/tmp", "/usr/tmp", "."])  # noqa: S108 - the names are the point
def test_a_folder_that_can_be_written_to_is_left_to_python(chosen: Chosen, folder: str) -> None:
    assert "TMPDIR" not in chosen(folder, MEMORY)


@pytest.mark.parametrize("name", ["TMPDIR", "TEMP", "TMP"])
def test_a_temporary_folder_that_the_user_set_is_kept(chosen: Chosen, name: str) -> None:
    found = chosen(MEMORY, private="/scratch", USER="me", HOME="/", **{name: "/scratch"})
    assert found == {"HOME": "/scratch/own"}


def test_nothing_is_named_where_nothing_can_be_written_to(chosen: Chosen) -> None:
    assert chosen(USER="me", HOME="/") == {}


def test_a_private_folder_is_made_once_for_its_owner(tmp_path: Path) -> None:
    made = account._make_private(str(tmp_path))
    assert made == f"{tmp_path}/armwright-{os.getuid()}"
    assert Path(made).stat().st_mode & 0o777 == 0o700
    assert account._make_private(str(tmp_path)) == made
    Path(made).chmod(0o777)
    assert account._make_private(str(tmp_path)) is None
    Path(made).rmdir()
    Path(made).symlink_to("/")
    assert account._make_private(str(tmp_path)) is None
    assert account._make_private(f"{tmp_path}/nowhere") is None


def test_this_user_s_entry_is_read() -> None:
    assert account._read_entry() == (os.environ.get("USER", "root"), str(Path.home())) or os.getuid()
