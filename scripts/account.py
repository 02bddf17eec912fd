"""Decides where a program may write, and under which name: TMPDIR, USER, LOGNAME and HOME.

The image's own user has an entry in /etc/passwd and a home. Any other user id, such as OpenShift assigns, has neither:
the engine then sets HOME to /, `getpass.getuser()` fails, and with it PyTorch's compiler.
"""

from __future__ import annotations

import os
from stat import S_ISDIR

from choices import Choice

TYPE_CHECKING = False  # the constant of `typing`, which type checkers take for true
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STANDARD = ("/tmp", "/var/tmp", "/usr/tmp")  # noqa: S108  (the folders that Python's tempfile tries, in its order)
MEMORY = "/dev/shm"  # noqa: S108  (container engines mount it even in read-only containers; it is small)


def choose_account(environ: Mapping[str, str]) -> Iterator[Choice]:
    """Decide on the variables that this user needs and that are not set; a user with an entry and a home needs none."""
    temporary = [environ[name] for name in ("TMPDIR", "TEMP", "TMP") if name in environ]
    if not temporary and not any(map(_is_writable, (*STANDARD, os.curdir))) and _is_writable(MEMORY):
        temporary = [MEMORY]
        yield Choice("TMPDIR", MEMORY, "set", "no other folder for temporary files is writable; it is small")
    user, home = _read_entry()
    if not user and not environ.keys() & {"LOGNAME", "USER", "LNAME", "USERNAME"}:
        user = str(os.getuid())
        for name in ("USER", "LOGNAME"):
            yield Choice(name, user, "set", f"user {user} has no entry in /etc/passwd")
    if environ.get("HOME", "/") == "/" and not _is_writable("/"):  # / is the engine's word for "no home"
        folders = [folder for folder in (*temporary, *STANDARD, MEMORY) if folder.startswith("/")]
        made = home if _is_writable(home) else next(filter(None, map(_make_private, folders)), None)
        if made:
            yield Choice("HOME", made, "set", f"user {os.getuid()} has no other home that is writable")


def _read_entry() -> tuple[str, str]:
    """Return this user's name and home in /etc/passwd; two empty texts without an entry."""
    try:
        import pwd  # noqa: PLC0415  (a cut-down Python may lack it)

        entry = pwd.getpwuid(os.getuid())
    except (ImportError, KeyError):
        return "", ""
    return entry.pw_name, entry.pw_dir


def _make_private(parent: str) -> str | None:
    """Make a folder that belongs to this user alone, or find the one made before; None if that is impossible."""
    folder = f"{parent}/armwright-{os.getuid()}"
    try:
        os.mkdir(folder, 0o700)  # noqa: PTH102  (pathlib is not loaded)
    except FileExistsError:
        pass
    except OSError:
        return None
    found = os.lstat(folder)
    mine = S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return folder if mine and _is_writable(folder) else None


def _is_writable(folder: str) -> bool:
    return bool(folder) and os.access(folder, os.W_OK | os.X_OK)
