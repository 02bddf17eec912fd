"""Issues over real HTTP, on a local stub of GitHub's API."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from armwright.request import github_client, github_issues
from armwright.request.github_issues import GitHubIssues, Issue
from armwright.request.reply import LABELS, MARKER
from armwright.system import http_session, process
from armwright.system.errors import ArmwrightError, FailedError, InputError, MachineError
from tests.github_stub import BOT, REPOSITORY, REPOSITORY_ID, TOKEN, Account, GitHubStub, StubAnswer, error, run_github

EXISTS, REFUSED = "request: exists", "request: refused"
TEXT = f"{MARKER}\nIt is there."
PLACE = f"issue 7 of {REPOSITORY}"
WRITING = "a token that may write"
VARIABLES = (*github_client.TOKENS, "GITHUB_API_URL", "GITHUB_REPOSITORY", "GITHUB_SERVER_URL")


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[GitHubStub]:
    with run_github() as state:
        yield state


@pytest.fixture
def issues(server: GitHubStub) -> GitHubIssues:
    server.open(7)
    return GitHubIssues(REPOSITORY, TOKEN, server.address)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Replace waiting; the list has the seconds of each wait."""
    taken: list[float] = []
    monkeypatch.setattr(github_client, "time", SimpleNamespace(sleep=taken.append, time=time.time))
    return taken


def test_issue_is_read(server: GitHubStub, issues: GitHubIssues) -> None:
    server.open(3, body="### Framework", labels=["new combination", EXISTS])
    assert issues.read(3) == Issue(
        3, "a request", "### Framework", "octocat", open=True, locked=False,
        labels=frozenset({"new combination", EXISTS}), updated="2026-01-02T03:04:05Z", pull_request=False,
    )  # fmt: skip


def test_issue_without_body_or_author_is_read(server: GitHubStub, issues: GitHubIssues) -> None:
    server.open(4, body=None, author=None)
    assert (issues.read(4).body, issues.read(4).author) == ("", "")


def test_public_issue_is_read_without_a_token(server: GitHubStub, issues: GitHubIssues) -> None:
    assert issues.read(7).open
    assert GitHubIssues(REPOSITORY, "", server.address).read(7).open
    sent, unsent = (request.headers for request in server.received)
    assert sent["Authorization"] == f"Bearer {TOKEN}"
    assert "Authorization" not in unsent
    assert (sent["X-GitHub-Api-Version"], sent["User-Agent"]) == ("2022-11-28", "armwright")


@pytest.mark.parametrize("name", github_client.TOKENS)
def test_token_and_address_come_from_the_environment(
    server: GitHubStub, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    server.open(7)
    monkeypatch.setenv(name, f"{TOKEN}\n")
    monkeypatch.setenv("GITHUB_API_URL", f"{server.address}/")
    assert GitHubIssues(REPOSITORY).read(7).open
    assert server.received[0].headers["Authorization"] == f"Bearer {TOKEN}"


def test_second_answer_edits_the_first_comment(server: GitHubStub, issues: GitHubIssues) -> None:
    issue = server.issues[7]
    issue.labels = ["new combination"]
    first = issues.answer(7, TEXT, EXISTS)
    assert [(comment.author, comment.body) for comment in issue.comments] == [(BOT, TEXT)]
    assert first == f"https://github.com/{REPOSITORY}/issues/7#issuecomment-{issue.comments[0].id}"
    assert issue.labels == ["new combination", EXISTS]

    second = issues.answer(7, f"{MARKER}\nNo longer.", REFUSED)
    assert second == first
    assert [comment.body for comment in issue.comments] == [f"{MARKER}\nNo longer."]
    assert issue.labels == ["new combination", REFUSED]


def test_same_answer_changes_nothing(server: GitHubStub, issues: GitHubIssues) -> None:
    address = issues.answer(7, TEXT, EXISTS)
    before = server.writes
    assert issues.answer(7, TEXT, EXISTS) == address
    assert server.writes == before


def test_copied_marker_of_another_account_is_never_edited(server: GitHubStub, issues: GitHubIssues) -> None:
    copied = server.comment(7, "mallory", f"{MARKER}\ndocker pull mallory/pytorch")
    ours = server.comment(7, BOT, "a comment of the same account, and no answer")
    quoted = server.comment(7, BOT, f"> {MARKER}\nquoted")
    issues.answer(7, TEXT, EXISTS)
    bodies = [comment.body for comment in server.issues[7].comments]
    assert bodies == [copied.body, ours.body, quoted.body, TEXT]
    assert server.writes[0] == ("POST", f"/repos/{REPOSITORY}/issues/7/comments")


def test_comment_is_found_on_a_later_page(server: GitHubStub, issues: GitHubIssues) -> None:
    for number in range(250):
        server.comment(7, "octocat", f"+{number}")
    ours = server.comment(7, BOT, f"{MARKER}\nbefore")
    issues.answer(7, TEXT, EXISTS)
    assert ours.body == TEXT
    pages = [request.path for request in server.received if "/comments?" in request.path]
    assert pages[1:] == [f"/repositories/{REPOSITORY_ID}/issues/7/comments?per_page=100&page={page}" for page in (2, 3)]


def test_only_the_new_label_stays(server: GitHubStub, issues: GitHubIssues, monkeypatch: pytest.MonkeyPatch) -> None:
    server.issues[7].labels = [*LABELS[:3], "build", "request: of theirs"]
    answered = server._remove_label

    def meanwhile(*given: Any) -> StubAnswer:  # noqa: ANN401 - passed on
        answer = answered(*given)
        return error(404, "Label does not exist") if given[3]["name"] == LABELS[1] else answer

    monkeypatch.setattr(server, "_remove_label", meanwhile)
    issues.answer(7, TEXT, REFUSED)
    assert server.issues[7].labels == ["build", "request: of theirs", REFUSED]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"state": "closed"}, "issue 7 is closed, so it is not answered"),
        ({"locked": True}, "issue 7 is locked, so it is not answered"),
        ({"pull_request": True}, "7 is a pull request, not an issue"),
    ],
)
def test_closed_or_locked_issue_is_not_answered(
    server: GitHubStub, issues: GitHubIssues, state: dict[str, Any], expected: str
) -> None:
    server.open(7, **state)
    with pytest.raises(InputError, match=re.escape(expected)) as refused:
        issues.answer(7, TEXT, EXISTS)
    assert refused.value.hint
    assert server.writes == []


def test_answer_without_a_token_sends_nothing(server: GitHubStub) -> None:
    with pytest.raises(InputError, match="posting an answer needs a token") as refused:
        GitHubIssues(REPOSITORY, "", server.address).answer(7, TEXT, EXISTS)
    assert "GITHUB_TOKEN" in refused.value.hint
    assert server.received == []


@pytest.mark.parametrize(
    ("markdown", "label"),
    [("no marker", EXISTS), (f" {TEXT}", EXISTS), (f"{MARKER}{'x' * 65_536}", EXISTS), (TEXT, "bug")],
)
def test_text_that_is_not_a_reply_is_not_sent(
    server: GitHubStub, issues: GitHubIssues, markdown: str, label: str
) -> None:
    with pytest.raises(FailedError, match="Armwright did not write this reply"):
        issues.answer(7, markdown, label)
    assert server.received == []


@pytest.mark.parametrize(
    ("answer", "kind", "expected", "advised"),
    [
        (error(401, "Bad credentials"), MachineError, "does not accept the token", "GITHUB_TOKEN"),
        (error(403, "Resource not accessible"), MachineError, f"denies this account access to {PLACE}", WRITING),
        (
            error(403, "Resource not accessible", X_Accepted_GitHub_Permissions="issues=write,metadata=read"),
            MachineError, "denies this account", "(issues=write,metadata=read)",
        ),
        (error(403, "x", X_Accepted_GitHub_Permissions="\x1b[31m<b>"), MachineError, "denies this account", WRITING),
        (error(404, "Not Found"), InputError, f"GitHub has no {PLACE}", "check the number"),
        (error(410, "This issue was deleted"), InputError, f"{PLACE} was deleted", "check the number"),
        (error(422, "Validation Failed"), FailedError, f"rejects the data sent for {PLACE} as invalid", "report it"),
        (error(418, "teapot"), FailedError, f"answered with status 418 for {PLACE}", ""),
        (error(500, "Server Error"), MachineError, "GitHub answered with status 500", "later"),
    ],
)  # fmt: skip
def test_error_status_gets_a_message_of_this_program(  # noqa: PLR0913, PLR0917
    server: GitHubStub,
    issues: GitHubIssues,
    answer: StubAnswer,
    kind: type[ArmwrightError],
    expected: str,
    advised: str,
) -> None:
    server.queued = [answer]
    with pytest.raises(kind) as raised:
        issues.read(7)
    assert expected in raised.value.what
    assert advised in raised.value.next_step + raised.value.hint
    whole = raised.value.what + raised.value.next_step + raised.value.hint
    assert TOKEN not in whole
    assert answer.document["message"] not in whole or answer.document["message"] == "x"
    assert whole.isprintable()


def test_read_only_token_gets_an_error(server: GitHubStub, issues: GitHubIssues) -> None:
    server.accounts[TOKEN] = Account("octocat", writes=False)
    with pytest.raises(MachineError, match="denies this account access") as raised:
        issues.answer(7, TEXT, EXISTS)
    assert "(issues=write)" in raised.value.hint


def test_private_repository_needs_a_token(server: GitHubStub, issues: GitHubIssues) -> None:
    server.private = True
    assert issues.read(7).open
    with pytest.raises(InputError, match="GitHub has no issue 7") as raised:
        GitHubIssues(REPOSITORY, "", server.address).read(7)
    assert "GITHUB_TOKEN" in raised.value.hint


def _soon(seconds: int) -> str:
    return str(int(time.time()) + seconds)


@pytest.mark.parametrize(
    ("limited", "wait"),
    [
        (error(429, "slow down", Retry_After="7"), {7}),
        (error(403, "slow down", Retry_After="0"), {1}),
        (error(429, "exceeded", X_RateLimit_Remaining="0", X_RateLimit_Reset=_soon(-100)), {1}),
        (error(403, "You have exceeded a secondary rate limit."), {60}),
        (error(429, "too many"), {60}),
    ],
)
def test_rate_limit_is_waited_for(
    server: GitHubStub, issues: GitHubIssues, waits: list[float], limited: StubAnswer, wait: set[float]
) -> None:
    server.queued = [limited]
    assert issues.read(7).open
    assert set(waits) == wait


def test_reset_time_of_a_rate_limit_is_waited_for(
    server: GitHubStub, issues: GitHubIssues, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github_client, "time", SimpleNamespace(sleep=waits.append, time=lambda: 1_000_000.5))
    server.queued = [error(403, "exceeded", X_RateLimit_Remaining="0", X_RateLimit_Reset="1000100")]
    assert issues.read(7).open
    assert waits == [101]


def test_waits_grow_and_end(server: GitHubStub, issues: GitHubIssues, waits: list[float]) -> None:
    server.queued = [error(403, "You have exceeded a secondary rate limit.")] * 3
    with pytest.raises(MachineError, match="rate limit is reached"):
        issues.read(7)
    assert waits == [60, 120]
    server.queued, server.received = [error(429, "slow down", Retry_After="1")] * 50, []
    with pytest.raises(MachineError, match="rate limit is reached"):
        issues.read(7)
    assert len(server.received) == github_client.TRIES


@pytest.mark.parametrize("token", [TOKEN, ""])
def test_distant_rate_limit_is_reported_with_its_end(
    server: GitHubStub, issues: GitHubIssues, waits: list[float], token: str
) -> None:
    assert issues.read(7).open
    server.queued = [error(403, "exceeded", X_RateLimit_Remaining="0", X_RateLimit_Reset="4102444800")]
    with pytest.raises(MachineError, match=r"the next request is possible at 2100-01-01 00:00:0[0-2] UTC") as raised:
        GitHubIssues(REPOSITORY, token, server.address).read(7)
    assert ("with a token the limit is higher" in raised.value.hint) is not bool(token)
    assert waits == []


@pytest.mark.parametrize("after", ["Wed, 21 Oct 2026 07:28:00 GMT", "-1", "1e9", "9" * 30, "\u0663"])
def test_invalid_retry_after_is_a_minute(
    server: GitHubStub, issues: GitHubIssues, waits: list[float], after: str
) -> None:
    server.queued = [error(429, "slow down", Retry_After=after.encode().decode("latin-1"))]
    assert issues.read(7).open
    assert waits == [60]


def test_renamed_repository_is_read_and_answered(server: GitHubStub) -> None:
    server.open(7)
    server.former = "octo-org/before"
    former = GitHubIssues("octo-org/before", TOKEN, server.address)
    assert former.read(7).open
    former.answer(7, TEXT, EXISTS)
    former.answer(7, f"{TEXT} Still.", REFUSED)
    assert [comment.body for comment in server.issues[7].comments] == [f"{TEXT} Still."]
    assert server.issues[7].labels == [REFUSED]


def test_moved_issue_is_refused(server: GitHubStub, issues: GitHubIssues) -> None:
    server.open(8, moved=f"{server.address}/repositories/{REPOSITORY_ID}/issues/7")
    with pytest.raises(InputError, match="was moved to another repository"):
        issues.read(8)


def test_redirect_loop_ends(server: GitHubStub, issues: GitHubIssues) -> None:
    server.open(8, moved=f"{server.address}/repos/{REPOSITORY}/issues/8")
    with pytest.raises(FailedError, match="answered with status 301"):
        issues.read(8)
    assert len(server.received) == github_client.HOPS + 1


@pytest.mark.parametrize("link", ["{}/issues/7", "//{}", "http://[", "http://user@{own}/", "ftp://{own}/"])
def test_link_to_another_host_is_not_followed(server: GitHubStub, issues: GitHubIssues, link: str) -> None:
    with run_github() as other:
        link = link.format(other.address, own=server.address.removeprefix("http://"))
        server.open(8, moved=link)
        with pytest.raises(MachineError, match="redirects to another host"):
            issues.read(8)
        server.queued = [StubAnswer(200, [], {"Link": f'<{link}>; rel="next"'})]
        with pytest.raises(MachineError, match="redirects to another host"):
            list(issues._client.pages("/x", place=PLACE))
        assert other.received == []


def test_endless_list_ends(server: GitHubStub, issues: GitHubIssues) -> None:
    endless = StubAnswer(200, [], {"Link": f'<{server.address}/more>; rel="next"'})
    server.queued = [endless] * 100
    with pytest.raises(FailedError, match="more than 30 pages of comments"):
        list(issues._client.pages("/x", place=PLACE))


def test_oversized_answer_is_refused(server: GitHubStub, issues: GitHubIssues, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github_client, "LIMIT", 1000)
    server.open(7, body="x" * 2000)
    with pytest.raises(FailedError, match="GitHub answered with more than 1000 bytes"):
        issues.read(7)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"null", b"[]", b"{}", b"\xff", b"<html>", b"[" * 100_000, b'{"number": "7"}', b'{"number": 1e400}',
        json.dumps({"number": 7, "title": "t", "user": "octocat", "state": "open", "locked": 0}).encode(),
    ],
    ids=lambda raw: repr(raw[:20]),
)  # fmt: skip
def test_invalid_answer_is_an_error(server: GitHubStub, issues: GitHubIssues, raw: bytes) -> None:
    server.queued = [StubAnswer(200, raw=raw)]
    with pytest.raises(FailedError, match="GitHub's answer is not valid"):
        issues.read(7)


def test_invalid_comment_address_is_an_error(
    server: GitHubStub, issues: GitHubIssues, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = server._comment_document
    monkeypatch.setattr(server, "_comment_document", lambda *given: {**shown(*given), "html_url": "https://x/\x1b[31m"})
    with pytest.raises(FailedError, match="is not valid"):
        issues.answer(7, TEXT, EXISTS)


def test_only_safe_requests_are_retried(server: GitHubStub, issues: GitHubIssues) -> None:
    server.queued = [StubAnswer(), StubAnswer(503)]
    assert issues.read(7).open
    assert len(server.received) == 3
    server.received = []
    server.queued = [StubAnswer()]
    with pytest.raises(MachineError, match="GitHub cannot be reached"):
        issues._client.send("POST", "/x", {}, place=PLACE)
    assert len(server.received) == 1


def test_unreachable_server_is_an_error(port: int) -> None:
    with pytest.raises(MachineError, match=r"^GitHub cannot be reached: Connection refused$") as raised:
        GitHubIssues(REPOSITORY, TOKEN, f"http://127.0.0.1:{port}").read(7)
    assert "HTTPS_PROXY" in raised.value.hint


def test_token_is_in_no_log_repr_or_error(
    server: GitHubStub,
    issues: GitHubIssues,
    waits: list[float],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    issues.answer(7, TEXT, EXISTS)
    texts = [repr(issues), repr(vars(issues)), str(issues)]
    for status in (401, 403, 404, 410, 422, 429, 500):
        server.queued = [error(status, "x"), error(status, "x"), error(status, "x")]
        with pytest.raises(ArmwrightError) as raised:
            issues.read(7)
        texts += [
            raised.value.what,
            raised.value.next_step,
            raised.value.hint,
            repr(raised.value),
            str(raised.value.__cause__),
        ]
    assert waits
    assert caplog.text  # urllib3 logs
    texts += [caplog.text, *capfd.readouterr()]
    assert TOKEN not in "\n".join(texts)


@pytest.mark.parametrize("token", ["ab cd", "ab\r\nX-Evil: 1", "t\u00f6ken", "\x00"])
def test_invalid_token_is_not_sent_or_shown(token: str) -> None:
    with pytest.raises(InputError, match="GITHUB_TOKEN or GH_TOKEN is set, but not to a token") as refused:
        GitHubIssues(REPOSITORY, token)
    assert token not in refused.value.what + refused.value.next_step + refused.value.hint


@pytest.mark.parametrize(
    "api",
    [
        "http://api.example.com",
        "https://me:secret@api.example.com",
        "ftp://127.0.0.1",
        "api.example.com",
        "file:///etc",
    ],
)
def test_unsafe_api_address_is_refused(api: str) -> None:
    with pytest.raises(InputError, match="GITHUB_API_URL must be an https:// address") as refused:
        GitHubIssues(REPOSITORY, TOKEN, api)
    assert "secret" not in refused.value.what + refused.value.next_step + refused.value.hint


@pytest.mark.parametrize(
    ("api", "graphql"),
    [
        (github_client.API, f"{github_client.API}/graphql"),
        ("https://github.example.com/api/v3/", "https://github.example.com/api/graphql"),
    ],
)
def test_graphql_address_fits_the_server(api: str, graphql: str) -> None:
    assert github_client.GitHubClient(TOKEN, api).graphql == graphql


def test_netrc_does_not_replace_the_token(
    server: GitHubStub, issues: GitHubIssues, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(http_session, "is_loopback", lambda _: False)
    assert issues.read(7).open
    assert server.received[0].headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("12", (None, 12)),
        ("#12", (None, 12)),
        ("octo-org/armwright#12", ("octo-org/armwright", 12)),
        ("https://github.com/octo-org/arm.wright_2/issues/12", ("octo-org/arm.wright_2", 12)),
        ("https://github.com/octo-org/armwright/issues/12#issuecomment-99", ("octo-org/armwright", 12)),
    ],
)
def test_issue_reference_has_four_forms(word: str, meant: tuple[str | None, int]) -> None:
    assert github_issues.parse_issue_reference(word) == meant


@pytest.mark.parametrize(
    "word",
    [
        "", "0", "-1", "1.5", "12 ", "12\n", "\u0661\u0662", "9" * 10, "#", "--issue", "octo/x/y#1", "octo#1",
        "https://github.example.com/a/b/issues/1", "http://github.com/a/b/issues/1", "https://github.com/a/b/pull/1",
        "https://github.com/../b/issues/1", "https://github.com/a/b/issues/1?x=1", "https://github.com@evil/a/b/issues/1",
    ],
)  # fmt: skip
def test_invalid_issue_reference_is_refused(word: str) -> None:
    with pytest.raises(InputError, match="is not the number or address of an issue"):
        github_issues.parse_issue_reference(word)


def test_issue_address_is_on_the_configured_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.example.com")
    assert github_issues.parse_issue_reference("https://github.example.com/a/b/issues/1") == ("a/b", 1)


@pytest.mark.parametrize(
    "name", ["a", "a/b/c", "/b", "a/", "a/..", "a/.", "../b", "a/b?x", "a b/c", "-a/b", "a/b\n", "a/b#"]
)
def test_invalid_repository_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not in the form owner/name"):
        GitHubIssues(name, TOKEN)
    with pytest.raises(InputError, match="is not in the form owner/name"):
        github_issues.find_repository(tmp_path, name)


@pytest.mark.parametrize(
    "remote",
    [
        "https://github.com/octo-org/armwright.git", "https://github.com/octo-org/armwright/",
        "https://me:secret@github.com/octo-org/armwright", "git@github.com:octo-org/armwright.git",
        "ssh://git@github.com/octo-org/armwright.git", "ssh://git@github.com:22/octo-org/armwright",
    ],
)  # fmt: skip
def test_repository_is_given_or_configured_or_the_remote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remote: str
) -> None:
    _git(tmp_path, "init", "--quiet")
    with pytest.raises(InputError, match="no repository is given") as refused:
        github_issues.find_repository(tmp_path, "")
    assert "--repo owner/name" in refused.value.hint
    _git(tmp_path, "remote", "add", "origin", remote)
    assert github_issues.find_repository(tmp_path, "") == "octo-org/armwright"
    monkeypatch.setenv("GITHUB_REPOSITORY", "octo-org/environment")
    assert github_issues.find_repository(tmp_path, "") == "octo-org/environment"
    assert github_issues.find_repository(tmp_path, "octo-org/given") == "octo-org/given"


@pytest.mark.parametrize("remote", ["https://gitlab.com/a/b.git", "/srv/git/b.git", "https://github.com.evil.com/a/b"])
def test_remote_on_another_server_is_ignored(tmp_path: Path, remote: str) -> None:
    _git(tmp_path, "init", "--quiet")
    _git(tmp_path, "remote", "add", "origin", remote)
    with pytest.raises(InputError, match="no repository is given"):
        github_issues.find_repository(tmp_path, "")


def _git(root: Path, *arguments: str) -> None:
    subprocess.run([process.require_program("git"), *arguments], cwd=root, check=True, capture_output=True)
