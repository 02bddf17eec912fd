"""Runs apt in a folder of its own: the host's network settings and credentials, and nothing else of the host's apt.

Sources and settings are files that only this user can read, because they may contain passwords: arguments of a process
can be read by everybody. apt reads /etc/apt/auth.conf itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import unquote

from armwright.host import apt
from armwright.plan.locks import Deb
from armwright.system import process
from armwright.system.errors import FailedError, InputError, MachineError

_SECRET = 0o600
_LISTED = re.compile(
    r"^'\S+' (?P<name>[^_\s]+)_(?P<version>[^_\s]+)_\S+\.deb \d+ SHA256:(?P<sha256>\w+)$", re.MULTILINE
)
_DATE = re.compile(r"^Date: (.+)$", re.MULTILINE)
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_UNREACHABLE = re.compile(r"Could not |Unable to connect|Connection |Failed to fetch|Temporary failure")
_FULL = re.compile(r"No space left|don't have enough free space")
_UNTRUSTED = re.compile(
    r"^E: (?:.* is not signed|Failed to fetch .*(?:NO_PUBKEY|signatures were invalid))", re.MULTILINE
)
# Output of apt for a package, or a whole suite, that an archive had once.
_GONE_SUITE = re.compile(r"The repository '\S+ (?P<name>\S+) Release' does not have a Release file")
_GONE = (
    (re.compile(r"Version '(?P<version>[^']+)' for '(?P<name>[^']+)' was not found"), "{name} {version}"),
    (re.compile(r"Unable to locate package (?P<name>\S+)"), "{name}"),
    (_GONE_SUITE, "the suite {name}"),
    (re.compile(r"Failed to fetch \S+/(?P<name>[^/_\s]+)_(?P<version>[^_\s]+)_\S+\.deb\s+404"), "{name} {version}"),
)
_SETTINGS = """\
Dir::Etc::Main "/dev/null";
Dir::Etc::Parts "/dev/null";
Dir::Etc::SourceList "{folder}/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State "{folder}/state";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "false";
Acquire::Languages "none";
"""


class GoneError(InputError):
    """The archive no longer has a package, or a whole suite."""

    whole_suite = False


class SilentArchiveError(MachineError):
    """The archive does not answer, or not with what its index promises."""


class UntrustedError(MachineError):
    """The keys on this machine do not confirm the archive's signature."""


@dataclass(frozen=True)
class AptFolder:
    """A folder in which apt keeps its settings, its indexes and what it downloads.

    Attributes:
        folder: an empty folder that every user can enter: as root, apt downloads as another user.
        architecture: Debian's name of the architecture.
        log: the log file for apt's output.
        follow: called with each line of the output, without credentials.
        lock: the file descriptor of the folder's lock; apt holds it too, as it may outlive this process.
        missed: why sources could not be used.
    """

    folder: Path
    architecture: str
    log: Path
    follow: Callable[[str], None]
    lock: int
    missed: list[GoneError | SilentArchiveError] = field(default_factory=list)

    def update(self, sources: Iterable[str], *, all_suites: bool = True, signed: bool = True) -> None:
        """Fetch the indexes of some sources.

        Args:
            sources: apt's one-line format; may contain passwords.
            all_suites: fail if a source cannot be used; otherwise only if a package is then missing.
            signed: fail if a signature is not confirmed, even of a source that is marked as trusted.

        Raises:
            GoneError: the archive does not have a suite.
            UntrustedError: its signature is not confirmed.
            MachineError: it cannot be reached, or the disk is full.
        """
        for name in ("state/lists/partial", "cache/archives/partial"):
            path = self.folder / name
            path.mkdir(parents=True, exist_ok=True)
            for folder in (path, *path.parents[:2]):
                folder.chmod(0o755)  # whatever the umask is
        (self.folder / "status").touch(0o644)
        settings = _SETTINGS.format(folder=self.folder, architecture=self.architecture)
        _write_secret(self._settings, settings + "".join(f"{line}\n" for line in apt.read_network_settings()))
        _write_secret(self.folder / "sources.list", "".join(f"{source}\n" for source in sources))
        try:
            self._run("update", *(["-o", "APT::Update::Error-Mode=any"] if signed else []))
        except (GoneError, SilentArchiveError) as error:
            if all_suites:
                raise
            self.missed.append(error)

    def download(self, names: Sequence[str]) -> list[Path]:
        """Download packages and their dependencies.

        Args:
            names: the packages, each with or without "=version".

        Returns:
            the packages' files.

        Raises:
            GoneError: the archive does not have a package or a version.
            MachineError: it cannot be reached, or the disk is full.
        """
        try:
            self._run("install", "--yes", "--download-only", *names)
        except GoneError as gone:
            raise (self.missed[0] if self.missed else gone) from gone
        return sorted((self.folder / "cache" / "archives").glob("*.deb"))

    def resolve(self, names: Sequence[str]) -> dict[str, Deb]:
        """Return the packages and their dependencies with version and sha256, by name, without downloading them.

        Args:
            names: the packages, each with or without "=version".

        Raises:
            GoneError: the archive does not have a package or a version.
            FailedError: their dependencies cannot be met.
        """
        options = ["--yes", "-qq", "--print-uris", "-o", "Acquire::ForceHash=SHA256"]
        try:
            listing = process.capture(["apt-get", "install", *options, *names], env=self._environment)
        except FailedError as failure:
            raise explain_output(failure.what, failure) from failure
        return {
            found["name"]: Deb(version=unquote(found["version"]), sha256=found["sha256"])
            for found in _LISTED.finditer(listing)
        }

    def read_newest_date(self) -> str:
        """Return the newest time at which an archive published an index, for example 2026-11-20T09:32:55Z.

        Raises:
            FailedError: no index says when it was published.
        """
        indexes = [path for path in (self.folder / "state" / "lists").glob("*Release") if path.is_file()]
        found = (_DATE.search(path.read_text(encoding="utf-8", errors="replace")) for path in indexes)
        dates = [parsedate_to_datetime(date[1]) for date in found if date]
        if not dates:
            raise FailedError("no index of the archive says when it was published", "apt-get update")
        return max(dates).strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def _settings(self) -> Path:
        return self.folder / "apt.conf"

    @property
    def _environment(self) -> dict[str, str]:
        return {"APT_CONFIG": str(self._settings), "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}

    def _run(self, *arguments: str) -> None:
        lines: list[str] = []

        def keep(line: str) -> str:
            lines.append(_CREDENTIALS.sub("", line))
            self.follow(lines[-1])
            return lines[-1]

        try:
            process.stream(["apt-get", *arguments], self.log, keep, env=self._environment, pass_fds=[self.lock])
        except FailedError as failure:
            raise explain_output("\n".join(lines), failure) from failure


def explain_output(output: str, failure: FailedError) -> FailedError | InputError | MachineError:
    """Return the error that apt's output stands for; the failure itself if the output is unknown."""
    error = apt.explain_failure(output, failure)
    if error is not None and _FULL.search(output):
        return error
    if error is not None and _UNTRUSTED.search(output):
        return UntrustedError(error.what, error.next_step, hint=error.hint)
    for pattern, words in _GONE:
        if found := pattern.search(output):
            gone = GoneError(f"the archive no longer has {words.format_map(found.groupdict())}", "apt-get update")
            gone.whole_suite = pattern is _GONE_SUITE
            return gone
    if error is not None and _UNREACHABLE.search(output):
        return SilentArchiveError(error.what, error.next_step, hint=error.hint)
    return error or failure


def _write_secret(path: Path, text: str) -> None:
    """Write a file that only this user can read, from its first byte on."""
    path.unlink(missing_ok=True)
    path.touch(_SECRET)
    path.write_text(text, encoding="utf-8")
