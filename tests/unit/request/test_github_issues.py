"""Issues over real HTTP, on a server of this machine that does what GitHub's documentation says."""

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
from armwright.request.github_issues import Hub, Issue
from armwright.request.reply import LABELS, MARKER
from armwright.system import http, process
from armwright.system.errors import ArmwrightError, FailedError, InputError, MachineError
from tests.hub import BOT, IDENTITY, REPOSITORY, TOKEN, Account, GitHub, Said, error, serving

EXISTS, REFUSED = "request: exists", "request: refused"
TEXT = f"{MARKER}\nIt is there."
PLACE = f"issue 7 of {REPOSITORY}"
VARIABLES = (*github_client.TOKENS, "GITHUB_API_URL", "GITHUB_REPOSITORY", "GITHUB_SERVER_URL")


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[GitHub]:
    with serving() as state:
        yield state


@pytest.fixture
def hub(server: GitHub) -> Hub:
    server.open(7)
    return Hub(REPOSITORY, TOKEN, server.address)


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waits take no time here; what was waited for is in the list."""
    taken: list[float] = []
    monkeypatch.setattr(github_client, "time", SimpleNamespace(sleep=taken.append, time=time.time))
    return taken


def test_an_issue_is_read_as_it_is_now(server: GitHub, hub: Hub) -> None:
    server.open(3, body="### Framework", labels=["new combination", EXISTS])
    assert hub.issue(3) == Issue(
        3, "a request", "### Framework", "octocat", open=True, locked=False,
        labels=frozenset({"new combination", EXISTS}), updated="2026-01-02T03:04:05Z", pull_request=False,
    )  # fmt: skip


def test_an_empty_issue_and_one_whose_author_is_gone_can_be_read(server: GitHub, hub: Hub) -> None:
    server.open(4, body=None, author=None)
    assert (hub.issue(4).body, hub.issue(4).author) == ("", "")


def test_reading_what_is_public_sends_no_token_where_there_is_none(server: GitHub, hub: Hub) -> None:
    assert hub.issue(7).open
    assert Hub(REPOSITORY, "", server.address).issue(7).open
    sent, unsent = (one.headers for one in server.seen)
    assert sent["Authorization"] == f"Bearer {TOKEN}"
    assert "Authorization" not in unsent
    assert (sent["X-GitHub-Api-Version"], sent["User-Agent"]) == ("2022-11-28", "armwright")


@pytest.mark.parametrize("name", github_client.TOKENS)
def test_token_and_address_come_from_the_environment(
    server: GitHub, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    server.open(7)
    monkeypatch.setenv(name, f"{TOKEN}\n")
    monkeypatch.setenv("GITHUB_API_URL", f"{server.address}/")
    assert Hub(REPOSITORY).issue(7).open
    assert server.seen[0].headers["Authorization"] == f"Bearer {TOKEN}"


def test_an_answer_is_a_comment_and_a_label_and_the_second_one_edits_the_same_comment(server: GitHub, hub: Hub) -> None:
    ticket = server.tickets[7]
    ticket.labels = ["new combination"]
    first = hub.answer(7, TEXT, EXISTS)
    assert [(one.author, one.body) for one in ticket.comments] == [(BOT, TEXT)]
    assert first == f"https://github.com/{REPOSITORY}/issues/7#issuecomment-{ticket.comments[0].id}"
    assert ticket.labels == ["new combination", EXISTS]

    second = hub.answer(7, f"{MARKER}\nNo longer.", REFUSED)
    assert second == first
    assert [one.body for one in ticket.comments] == [f"{MARKER}\nNo longer."]
    assert ticket.labels == ["new combination", REFUSED]


def test_the_same_answer_again_changes_nothing(server: GitHub, hub: Hub) -> None:
    address = hub.answer(7, TEXT, EXISTS)
    before = server.writes
    assert hub.answer(7, TEXT, EXISTS) == address
    assert server.writes == before


def test_a_marker_that_somebody_else_wrote_is_never_edited(server: GitHub, hub: Hub) -> None:
    copied = server.comment(7, "mallory", f"{MARKER}\ndocker pull mallory/pytorch")
    ours = server.comment(7, BOT, "a comment of the same account, and no answer")
    quoted = server.comment(7, BOT, f"> {MARKER}\nquoted")
    hub.answer(7, TEXT, EXISTS)
    bodies = [one.body for one in server.tickets[7].comments]
    assert bodies == [copied.body, ours.body, quoted.body, TEXT]
    assert server.writes[0] == ("POST", f"/repos/{REPOSITORY}/issues/7/comments")


def test_our_comment_is_found_behind_hundreds_of_others(server: GitHub, hub: Hub) -> None:
    for number in range(250):
        server.comment(7, "octocat", f"+{number}")
    ours = server.comment(7, BOT, f"{MARKER}\nbefore")
    hub.answer(7, TEXT, EXISTS)
    assert ours.body == TEXT
    pages = [one.path for one in server.seen if "/comments?" in one.path]
    assert pages[1:] == [f"/repositories/{IDENTITY}/issues/7/comments?per_page=100&page={page}" for page in (2, 3)]


def test_of_our_labels_only_the_last_one_stays_and_one_that_is_gone_already_is_no_error(
    server: GitHub, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.tickets[7].labels = [*LABELS[:3], "build", "request: of theirs"]
    answered = server._remove_label

    def meanwhile(*given: Any) -> Said:  # noqa: ANN401 - passed on
        said = answered(*given)
        return error(404, "Label does not exist") if given[3]["name"] == LABELS[1] else said

    monkeypatch.setattr(server, "_remove_label", meanwhile)
    hub.answer(7, TEXT, REFUSED)
    assert server.tickets[7].labels == ["build", "request: of theirs", REFUSED]


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ({"state": "closed"}, "issue 7 is closed, and is not answered"),
        ({"locked": True}, "issue 7 is locked, and is not answered"),
        ({"pull_request": True}, "7 is a pull request and no issue"),
    ],
)
def test_what_nobody_waits_for_is_left_alone(server: GitHub, hub: Hub, state: dict[str, Any], told: str) -> None:
    server.open(7, **state)
    with pytest.raises(InputError, match=re.escape(told)) as refused:
        hub.answer(7, TEXT, EXISTS)
    assert refused.value.next_step
    assert server.writes == []


def test_without_a_token_nothing_is_sent(server: GitHub) -> None:
    with pytest.raises(InputError, match="an answer needs a token") as refused:
        Hub(REPOSITORY, "", server.address).answer(7, TEXT, EXISTS)
    assert "GITHUB_TOKEN" in refused.value.next_step
    assert server.seen == []


@pytest.mark.parametrize(
    ("markdown", "label"),
    [("no marker", EXISTS), (f" {TEXT}", EXISTS), (f"{MARKER}{'x' * 65_536}", EXISTS), (TEXT, "bug")],
)
def test_what_is_no_answer_of_ours_is_not_sent(server: GitHub, hub: Hub, markdown: str, label: str) -> None:
    with pytest.raises(FailedError, match="no answer of ours"):
        hub.answer(7, markdown, label)
    assert server.seen == []


@pytest.mark.parametrize(
    ("said", "kind", "told", "advised"),
    [
        (error(401, "Bad credentials"), MachineError, "does not accept the token", "GITHUB_TOKEN"),
        (error(403, "Resource not accessible"), MachineError, f"let this account do that with {PLACE}", "that may: "),
        (
            error(403, "Resource not accessible", X_Accepted_GitHub_Permissions="issues=write,metadata=read"),
            MachineError, "let this account", "(issues=write,metadata=read)",
        ),
        (error(403, "x", X_Accepted_GitHub_Permissions="\x1b[31m<b>"), MachineError, "let this account", "that may: "),
        (error(404, "Not Found"), InputError, f"GitHub shows no {PLACE}", "check the number"),
        (error(410, "This issue was deleted"), InputError, f"{PLACE} was deleted", "check the number"),
        (error(422, "Validation Failed"), FailedError, f"refuses what was sent for {PLACE} as invalid", "report it"),
        (error(418, "teapot"), FailedError, f"answered with 418 for {PLACE}", ""),
        (error(500, "Server Error"), MachineError, "GitHub answered with 500", "later"),
    ],
)  # fmt: skip
def test_each_error_is_a_sentence_with_a_next_step_and_no_word_of_the_server(  # noqa: PLR0913, PLR0917
    server: GitHub, hub: Hub, said: Said, kind: type[ArmwrightError], told: str, advised: str
) -> None:
    server.first = [said]
    with pytest.raises(kind) as raised:
        hub.issue(7)
    assert told in raised.value.what
    assert advised in raised.value.next_step
    whole = raised.value.what + raised.value.next_step
    assert TOKEN not in whole
    assert said.document["message"] not in whole or said.document["message"] == "x"
    assert whole.isprintable()


def test_a_token_that_may_only_read_is_told_so(server: GitHub, hub: Hub) -> None:
    server.accounts[TOKEN] = Account("octocat", writes=False)
    with pytest.raises(MachineError, match="does not let this account") as raised:
        hub.answer(7, TEXT, EXISTS)
    assert "(issues=write)" in raised.value.next_step


def test_a_private_repository_shows_nothing_to_nobody(server: GitHub, hub: Hub) -> None:
    server.private = True
    assert hub.issue(7).open
    with pytest.raises(InputError, match="shows no issue 7") as raised:
        Hub(REPOSITORY, "", server.address).issue(7)
    assert "GITHUB_TOKEN" in raised.value.next_step


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
def test_a_rate_limit_is_waited_for(
    server: GitHub, hub: Hub, naps: list[float], limited: Said, wait: set[float]
) -> None:
    server.first = [limited]
    assert hub.issue(7).open
    assert set(naps) == wait


def test_the_end_of_a_limit_is_waited_for(
    server: GitHub, hub: Hub, naps: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github_client.time, "time", lambda: 1_000_000.5)  # the fixture's own
    server.first = [error(403, "exceeded", X_RateLimit_Remaining="0", X_RateLimit_Reset="1000100")]
    assert hub.issue(7).open
    assert naps == [101]


def test_each_time_the_wait_is_longer_and_the_patience_ends(server: GitHub, hub: Hub, naps: list[float]) -> None:
    server.first = [error(403, "You have exceeded a secondary rate limit.")] * 3
    with pytest.raises(MachineError, match="rate limit is reached"):
        hub.issue(7)
    assert naps == [60, 120]
    server.first, server.seen = [error(429, "slow down", Retry_After="1")] * 50, []
    with pytest.raises(MachineError, match="rate limit is reached"):
        hub.issue(7)
    assert len(server.seen) == github_client.TRIES


@pytest.mark.parametrize("token", [TOKEN, ""])
def test_a_limit_that_is_too_far_away_is_not_waited_for_and_its_end_is_told(
    server: GitHub, hub: Hub, naps: list[float], token: str
) -> None:
    assert hub.issue(7).open
    server.first = [error(403, "exceeded", X_RateLimit_Remaining="0", X_RateLimit_Reset="4102444800")]
    with pytest.raises(MachineError, match=r"takes the next request at 2100-01-01 00:00:0[0-2] UTC") as raised:
        Hub(REPOSITORY, token, server.address).issue(7)
    assert ("with a token the limit is higher" in raised.value.next_step) is not bool(token)
    assert naps == []


@pytest.mark.parametrize("after", ["Wed, 21 Oct 2026 07:28:00 GMT", "-1", "1e9", "9" * 30, "\u0663"])
def test_a_wait_that_is_no_number_of_seconds_is_a_minute(
    server: GitHub, hub: Hub, naps: list[float], after: str
) -> None:
    server.first = [error(429, "slow down", Retry_After=after.encode().decode("latin-1"))]
    assert hub.issue(7).open
    assert naps == [60]


def test_a_repository_that_was_renamed_is_read_and_answered(server: GitHub) -> None:
    server.open(7)
    server.former = "octo-org/before"
    former = Hub("octo-org/before", TOKEN, server.address)
    assert former.issue(7).open
    former.answer(7, TEXT, EXISTS)
    former.answer(7, f"{TEXT} Still.", REFUSED)
    assert [one.body for one in server.tickets[7].comments] == [f"{TEXT} Still."]
    assert server.tickets[7].labels == [REFUSED]


def test_an_issue_that_moved_to_another_repository_is_none_of_ours(server: GitHub, hub: Hub) -> None:
    server.open(8, moved=f"{server.address}/repositories/{IDENTITY}/issues/7")
    with pytest.raises(InputError, match="was moved to another repository"):
        hub.issue(8)


def test_redirects_in_a_circle_end(server: GitHub, hub: Hub) -> None:
    server.open(8, moved=f"{server.address}/repos/{REPOSITORY}/issues/8")
    with pytest.raises(FailedError, match="answered with 301"):
        hub.issue(8)
    assert len(server.seen) == github_client.HOPS + 1


@pytest.mark.parametrize("link", ["{}/issues/7", "//{}", "http://[", "http://user@{own}/", "ftp://{own}/"])
def test_a_link_to_another_host_is_not_followed(server: GitHub, hub: Hub, link: str) -> None:
    with serving() as other:
        link = link.format(other.address, own=server.address.removeprefix("http://"))
        server.open(8, moved=link)
        with pytest.raises(MachineError, match="leads on to another host"):
            hub.issue(8)
        server.first = [Said(200, [], {"Link": f'<{link}>; rel="next"'})]
        with pytest.raises(MachineError, match="leads on to another host"):
            list(hub._client.pages("/x", place=PLACE))
        assert other.seen == []


def test_a_list_without_an_end_ends(server: GitHub, hub: Hub) -> None:
    endless = Said(200, [], {"Link": f'<{server.address}/more>; rel="next"'})
    server.first = [endless] * 100
    with pytest.raises(FailedError, match="more than 30 pages"):
        list(hub._client.pages("/x", place=PLACE))


def test_an_answer_without_an_end_ends(server: GitHub, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github_client, "LIMIT", 1000)
    server.open(7, body="x" * 2000)
    with pytest.raises(FailedError, match="GitHub answered with more than 1000 bytes"):
        hub.issue(7)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"null", b"[]", b"{}", b"\xff", b"<html>", b"[" * 100_000, b'{"number": "7"}', b'{"number": 1e400}',
        json.dumps({"number": 7, "title": "t", "user": "octocat", "state": "open", "locked": 0}).encode(),
    ],
    ids=lambda raw: repr(raw[:20]),
)  # fmt: skip
def test_an_answer_without_sense_is_a_sentence(server: GitHub, hub: Hub, raw: bytes) -> None:
    server.first = [Said(200, raw=raw)]
    with pytest.raises(FailedError, match="GitHub's answer makes no sense"):
        hub.issue(7)


def test_an_address_of_a_comment_that_is_none_is_not_passed_on(
    server: GitHub, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = server._shown
    monkeypatch.setattr(server, "_shown", lambda *given: {**shown(*given), "html_url": "https://x/\x1b[31m"})
    with pytest.raises(FailedError, match="makes no sense"):
        hub.answer(7, TEXT, EXISTS)


def test_a_broken_connection_is_tried_again_only_where_nothing_can_happen_twice(server: GitHub, hub: Hub) -> None:
    server.first = [Said(), Said(503)]
    assert hub.issue(7).open
    assert len(server.seen) == 3
    server.seen = []
    server.first = [Said()]
    with pytest.raises(MachineError, match="GitHub cannot be reached"):
        hub._client.send("POST", "/x", {}, place=PLACE)
    assert len(server.seen) == 1


def test_a_server_that_is_not_there_is_a_sentence(port: int) -> None:
    with pytest.raises(MachineError, match=r"^GitHub cannot be reached: Connection refused$") as raised:
        Hub(REPOSITORY, TOKEN, f"http://127.0.0.1:{port}").issue(7)
    assert "HTTPS_PROXY" in raised.value.next_step


def test_the_token_is_in_no_log_no_repr_and_no_error(
    server: GitHub, hub: Hub, naps: list[float], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    hub.answer(7, TEXT, EXISTS)
    told = [repr(hub), repr(vars(hub)), str(hub)]
    for status in (401, 403, 404, 410, 422, 429, 500):
        server.first = [error(status, "x"), error(status, "x"), error(status, "x")]
        with pytest.raises(ArmwrightError) as raised:
            hub.issue(7)
        told += [raised.value.what, raised.value.next_step, repr(raised.value), str(raised.value.__cause__)]
    assert naps
    assert caplog.text  # urllib3 speaks
    told += [caplog.text, *capfd.readouterr()]
    assert TOKEN not in "\n".join(told)


@pytest.mark.parametrize("token", ["ab cd", "ab\r\nX-Evil: 1", "t\u00f6ken", "\x00"])
def test_what_is_no_token_is_not_sent_and_not_shown(token: str) -> None:
    with pytest.raises(InputError, match="GITHUB_TOKEN or GH_TOKEN holds no token") as refused:
        Hub(REPOSITORY, token)
    assert token not in refused.value.what + refused.value.next_step


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
def test_the_token_goes_over_a_safe_way_only(api: str) -> None:
    with pytest.raises(InputError, match="GITHUB_API_URL must be an https:// address") as refused:
        Hub(REPOSITORY, TOKEN, api)
    assert "secret" not in refused.value.what + refused.value.next_step


@pytest.mark.parametrize(
    ("api", "graphql"),
    [
        (github_client.API, f"{github_client.API}/graphql"),
        ("https://github.example.com/api/v3/", "https://github.example.com/api/graphql"),
    ],
)
def test_whose_the_token_is_is_asked_where_the_server_has_it(api: str, graphql: str) -> None:
    assert github_client.Client(TOKEN, api).graphql == graphql


def test_netrc_does_not_take_the_token_s_place(
    server: GitHub, hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(http, "loopback", lambda _: False)
    assert hub.issue(7).open
    assert server.seen[0].headers["Authorization"] == f"Bearer {TOKEN}"


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
def test_an_issue_is_named_in_four_ways(word: str, meant: tuple[str | None, int]) -> None:
    assert github_issues.number(word) == meant


@pytest.mark.parametrize(
    "word",
    [
        "", "0", "-1", "1.5", "12 ", "12\n", "\u0661\u0662", "9" * 10, "#", "--issue", "octo/x/y#1", "octo#1",
        "https://github.example.com/a/b/issues/1", "http://github.com/a/b/issues/1", "https://github.com/a/b/pull/1",
        "https://github.com/../b/issues/1", "https://github.com/a/b/issues/1?x=1", "https://github.com@evil/a/b/issues/1",
    ],
)  # fmt: skip
def test_what_names_no_issue_is_refused(word: str) -> None:
    with pytest.raises(InputError, match="is no issue's number or address"):
        github_issues.number(word)


def test_an_address_is_on_the_server_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.example.com")
    assert github_issues.number("https://github.example.com/a/b/issues/1") == ("a/b", 1)


@pytest.mark.parametrize(
    "name", ["a", "a/b/c", "/b", "a/", "a/..", "a/.", "../b", "a/b?x", "a b/c", "-a/b", "a/b\n", "a/b#"]
)
def test_what_names_no_repository_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not named as owner/name"):
        Hub(name, TOKEN)
    with pytest.raises(InputError, match="is not named as owner/name"):
        github_issues.repository(tmp_path, name)


@pytest.mark.parametrize(
    "remote",
    [
        "https://github.com/octo-org/armwright.git", "https://github.com/octo-org/armwright/",
        "https://me:secret@github.com/octo-org/armwright", "git@github.com:octo-org/armwright.git",
        "ssh://git@github.com/octo-org/armwright.git", "ssh://git@github.com:22/octo-org/armwright",
    ],
)  # fmt: skip
def test_the_repository_is_the_one_that_was_given_else_the_environment_s_else_the_remote_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remote: str
) -> None:
    _git(tmp_path, "init", "--quiet")
    with pytest.raises(InputError, match="nothing says which repository") as refused:
        github_issues.repository(tmp_path, "")
    assert "--repo owner/name" in refused.value.next_step
    _git(tmp_path, "remote", "add", "origin", remote)
    assert github_issues.repository(tmp_path, "") == "octo-org/armwright"
    monkeypatch.setenv("GITHUB_REPOSITORY", "octo-org/environment")
    assert github_issues.repository(tmp_path, "") == "octo-org/environment"
    assert github_issues.repository(tmp_path, "octo-org/given") == "octo-org/given"


@pytest.mark.parametrize("remote", ["https://gitlab.com/a/b.git", "/srv/git/b.git", "https://github.com.evil.com/a/b"])
def test_a_remote_elsewhere_names_no_repository(tmp_path: Path, remote: str) -> None:
    _git(tmp_path, "init", "--quiet")
    _git(tmp_path, "remote", "add", "origin", remote)
    with pytest.raises(InputError, match="nothing says which repository"):
        github_issues.repository(tmp_path, "")


def _git(root: Path, *words: str) -> None:
    subprocess.run([process.require("git"), *words], cwd=root, check=True, capture_output=True)
