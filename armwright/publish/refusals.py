"""Why a registry, the network or the Docker Engine refused: each cause as one sentence with its own command.

The same causes are read from an HTTP response and from the text with which the engine reports a push that failed. The
codes are those of the distribution specification (opencontainers/distribution-spec, spec.md, "Error Codes"), and those
that ECR, Harbor, Artifact Registry, Docker Hub and nginx use besides.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from armwright.publish.credentials import login_command
from armwright.system.errors import ArmwrightError, FailedError, MachineError
from armwright.system.http import HttpResponse
from armwright.system.http_session import UnreachableError

ENGINE = "the Docker Engine"
_PROXY_SETTINGS = "docker info --format 'http {{.HTTPProxy}} https {{.HTTPSProxy}} none {{.NoProxy}}'"
_INSECURE = "docker info --format '{{json .RegistryConfig}}'"
_QUOTED = 300  # characters of a registry's own words in a message
# In this order: the first that matches decides.
_BY_TEXT: tuple[tuple[str, str], ...] = (
    ("engine proxy", r"proxyconnect|proxy error"),
    ("not tls", r"server gave HTTP response to HTTPS client|first record does not look like a TLS handshake"),
    ("certificate", r"x509: |tls: failed to verify|bad certificate|certificate required"),
    ("unknown host", r"no such host|server misbehaving|name resolution"),
    ("rate", r"toomanyrequests|too many requests|\b429\b|rate limit"),
    ("full", r"no space left|disk quota|exceed\w* .*quota|quota .*exceed|\b507\b"),
    ("immutable", r"immutable|ImageTagAlreadyExists|tag_invalid|cannot be overwritten"),
    # The engine reports a refused manifest by its status only: "PUT request to http://HOST/v2/…/manifests/…: 400".
    ("zstd", r"zstd|manifest[ _]invalid|media ?type|\b415\b|PUT request to \S+/manifests/\S+: 4(00|15|22)\b"),
    ("too large", r"\b413\b|request entity too large"),
    ("forbidden", r"push access denied|insufficient_scope"),
    ("no repository", r"name[ _]unknown|repository .*(does not exist|not found|not known)|project .*not found"),
    ("read-only", r"read.?only|\b405\b|unsupported: the operation|\blocked\b"),
    ("login", r"no basic auth credentials|unauthorized|authentication required|authorization failed|\b401\b"),
    ("forbidden", r"denied|forbidden|\b403\b"),
    ("timeout", r"timeout|deadline exceeded"),
    ("unreachable", r"connection refused|no route to host|network is unreachable|connection reset|\bEOF\b"),
    ("broken", r"\b5\d\d\b|internal server error|bad gateway|service unavailable"),
)
_BY_STATUS = {
    401: "login", 403: "forbidden", 405: "read-only", 413: "too large", 415: "zstd", 429: "rate", 507: "full",
}  # fmt: skip


@dataclass(frozen=True)
class Attempt:
    """What was tried.

    Attributes:
        host: the registry's host.
        repository: the repository in it; may be empty.
        login: where the credentials that were sent are stored; empty if none were sent.
        logged_in: the registry accepted the credentials for something else.
        by: who tried: empty for Armwright itself, else `ENGINE`.
        scheme: https, or http for a registry without TLS.
    """

    host: str
    repository: str = ""
    login: str = ""
    logged_in: bool = False
    by: str = ""
    scheme: str = "https"

    @property
    def url(self) -> str:
        """The address of the registry's HTTP interface."""
        return f"{self.scheme}://{self.host}/v2/"

    @property
    def place(self) -> str:
        """The repository with its host."""
        return f"{self.host}/{self.repository}" if self.repository else self.host


class RefusedError(FailedError):
    """A registry refused.

    Attributes:
        cause: the cause, one of those in this module.
    """

    def __init__(self, what: str, next_step: str, *, hint: str = "", cause: str = "") -> None:
        super().__init__(what, next_step, hint=hint)
        self.cause = cause


class UnusableError(MachineError):
    """A registry cannot be used from this machine: it is not reached, or docker has no valid login.

    Attributes:
        cause: the cause, one of those in this module.
    """

    def __init__(self, what: str, next_step: str, *, hint: str = "", cause: str = "") -> None:
        super().__init__(what, next_step, hint=hint)
        self.cause = cause


def explain_response(attempt: Attempt, response: HttpResponse) -> ArmwrightError:
    """Return the error for an HTTP response whose status is an error."""
    words = read_words(response)
    by_text = _find_cause_in_text(words) if response.status not in {401, 405, 429} and words else ""
    cause = by_text or _BY_STATUS.get(response.status, "broken" if response.status >= 500 else "")  # noqa: PLR2004
    if response.status == 404 and not by_text:  # noqa: PLR2004 - the registry or a proxy does not know the path
        cause = "no repository"
    wait = response.headers.get("Retry-After", "")
    return _explain(attempt, cause, f"status {response.status}{f': {words}' if words else ''}", wait)


def explain_push_text(attempt: Attempt, text: str) -> ArmwrightError:
    """Return the error for the text with which the engine reports a failed push."""
    return _explain(attempt, _find_cause_in_text(text), _quote(text))


def explain_unreachable(attempt: Attempt, error: UnreachableError, *, plain: bool = False) -> ArmwrightError:
    """Return the error for a registry that cannot be reached.

    Args:
        attempt: what was tried.
        error: why it failed.
        plain: whether the registry answers over plain HTTP, which is not allowed for it.
    """
    cause = {"not tls": "unreachable", "other": "unreachable"}.get(error.cause, error.cause)
    return _explain(attempt, "not tls" if plain else cause, error.detail)


def read_words(response: HttpResponse) -> str:
    """Return what a registry says in an error's body: "DENIED: requested access …"; empty if it says nothing."""
    try:
        errors = json.loads(response.body)["errors"]
        words = [f"{error.get('code', '')}: {error.get('message', '')} {_detail(error)}".strip() for error in errors]
    except (ValueError, KeyError, TypeError, AttributeError):
        words = [response.body.decode(errors="replace")] if len(response.body) < _QUOTED else []
    return _quote("; ".join(words))


def _detail(error: dict[str, object]) -> str:
    detail = error.get("detail")
    return f"({json.dumps(detail)})" if detail else ""


def _quote(text: str) -> str:
    """Return a foreign text as one line without control characters, and without what follows a `?` of a URL."""
    plain = re.sub(r"(https?://[^\s?\"]+)\?[^\s\"]*", r"\1", " ".join(text.split()))
    return "".join(character for character in plain if character.isprintable())[:_QUOTED]


def _find_cause_in_text(text: str) -> str:
    return next((cause for cause, pattern in _BY_TEXT if re.search(pattern, text, re.IGNORECASE)), "")


def _explain(attempt: Attempt, cause: str, text: str, wait: str = "") -> ArmwrightError:
    """Write the error of one cause."""
    for explain in (_explain_login, _explain_network, _explain_refusal):
        error = explain(attempt, cause, text, wait)
        if error:
            return error
    by = f", as {attempt.by} reports" if attempt.by else ""
    return RefusedError(f"{attempt.place} refuses{by} ({text})", f"docker login {attempt.host}", cause=cause)


def _explain_login(attempt: Attempt, cause: str, text: str, _: str) -> ArmwrightError | None:
    host, login = attempt.host, login_command(attempt.host)
    if cause == "login" and not attempt.login:
        return UnusableError(f"{host} needs a login, and docker has none for it", login, cause="login")
    if cause == "login" and not attempt.logged_in:
        what = f"{host} refuses the user and password that {attempt.login} has for it: they are wrong or have expired"
        return UnusableError(what, login, cause="login")
    if cause not in {"login", "forbidden"}:
        return None
    if not attempt.login:
        what = f"{attempt.place} may not be changed without a login, and docker has none for {host} ({text})"
        return UnusableError(what, login, cause="login")
    what = f"the user of {host} in {attempt.login} has no permission to push to {attempt.place} ({text})"
    advice = "ask the registry's owner for it, check the name, or log in as another user"
    return RefusedError(what, login, hint=advice, cause="forbidden")


def _explain_network(attempt: Attempt, cause: str, text: str, _: str) -> ArmwrightError | None:
    host, who = attempt.host, attempt.by or "this machine"
    name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    certificates = f"/etc/docker/certs.d/{host}/ca.crt"
    known: dict[str, tuple[str, str, str]] = {
        "engine proxy": (
            f"the proxy of {ENGINE} refused the connection to {host} ({text})", _PROXY_SETTINGS,
            f"add {name} to NO_PROXY of the engine's service, or correct its proxy, and restart the engine",
        ),
        "proxy": (
            f"the proxy refused the connection to {host} ({text})", "env | grep -i _proxy",
            f"add {name} to NO_PROXY, or correct HTTPS_PROXY",
        ),
        "not tls": (
            f"{host} speaks plain HTTP, and {ENGINE} uses TLS for it", _INSECURE,
            f'add "insecure-registries": ["{host}"] to /etc/docker/daemon.json and restart the engine',
        ),
        "certificate": (
            f"{who} does not trust the certificate of {host} ({text})", f"sudo install -D -m 644 CA.crt {certificates}",
            "CA.crt is the certificate of the authority that signed it; the registry's operator has it",
        ),
        "unknown host": (f"{who} does not know the host {name} ({text})", f"getent hosts {name.strip('[]')}", ""),
        "unreachable": (
            f"{host} does not answer ({text})", f"curl -sS -o /dev/null {attempt.url}", "does the registry run?",
        ),
        "timeout": (f"{host} did not answer in time ({text})", f"curl -sS -o /dev/null {attempt.url}", ""),
    }  # fmt: skip
    if cause not in known:
        return None
    what, command, hint = known[cause]
    return UnusableError(what, command, hint=hint, cause=cause)


def _explain_refusal(attempt: Attempt, cause: str, text: str, wait: str) -> ArmwrightError | None:
    place, host = attempt.place, attempt.host
    known: dict[str, tuple[str, str, str]] = {
        "rate": (
            f"{host} limits the number of requests{f' for {wait} s' if wait.isdecimal() else ''} ({text})",
            f"sleep {wait if wait.isdecimal() else 60}" if attempt.login else login_command(host),
            "then run the same command again" if attempt.login else "the limit is higher after a login",
        ),
        "immutable": (
            f"{place} does not let a name move to another image ({text})", "invoke stage --help",
            "--no-move pushes the immutable names only; or allow tags to change in this repository",
        ),
        "zstd": (
            f"{place} refuses the image ({text}); older registries do not know layers compressed with zstd",
            "invoke stage --help",
            "update the registry or choose another with --to; with other layers it would not be the proven image",
        ),
        "too large": (
            f"{host} refuses large uploads ({text})", f"curl -sSI {attempt.url}",
            "raise the limit of the proxy in front of the registry: client_max_body_size 0 in nginx",
        ),
        "no repository": (f"{host} has no repository {attempt.repository} and does not create it ({text})",
            *_creation(attempt)),
        "read-only": (
            f"{place} is read-only ({text})", f"curl -sSI {attempt.url}",
            "ask the registry's owner to end its maintenance mode or its lock, or choose another with --to",
        ),
        "full": (
            f"{host} has no space left ({text})", "invoke registry gc",
            "that is for the local registry; ask the owner of any other for space or a higher quota",
        ),
        "broken": (f"{host} fails ({text})", f"curl -sSi {attempt.url}", "then run the same command again"),
    }  # fmt: skip
    return RefusedError(known[cause][0], known[cause][1], hint=known[cause][2], cause=cause) if cause in known else None


def _creation(attempt: Attempt) -> tuple[str, str]:
    """Return the command that creates a repository, and advice."""
    if login_command(attempt.host).startswith("aws "):
        return f"aws ecr create-repository --repository-name {attempt.repository}", ""
    project = attempt.repository.partition("/")[0]
    return login_command(attempt.host), f"create the project or repository {project} in the registry first"
