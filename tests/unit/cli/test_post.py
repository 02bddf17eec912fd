"""The command `post`: a reply is checked, then posted."""

from __future__ import annotations

from pathlib import Path

import pytest

from armwright.cli import post
from armwright.system.errors import FailedError
from tests.github_stub import BOT, REPOSITORY, TOKEN, run_github
from tests.request_helpers import REPLY, write_reply


def test_checked_reply_is_posted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with run_github() as server:
        server.open(7, labels=["request"])
        monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
        monkeypatch.setenv("GITHUB_API_URL", server.address)
        monkeypatch.setenv("GITHUB_REPOSITORY", REPOSITORY)
        post.run(tmp_path, str(write_reply(tmp_path)), "7")
        assert [(comment.author, comment.body) for comment in server.issues[7].comments] == [(BOT, REPLY)]
        assert server.issues[7].labels == ["request", "request: buildable"]
        assert capsys.readouterr().out.startswith(f"https://github.com/{REPOSITORY}/issues/7#issuecomment-")
        before = len(server.received)
        with pytest.raises(FailedError):
            post.run(tmp_path, str(write_reply(tmp_path, markdown=f"{REPLY}\n@octocat")), "7")
        assert len(server.received) == before
