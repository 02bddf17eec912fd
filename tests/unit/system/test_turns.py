"""The turn of one process, taken only if it is free."""

from __future__ import annotations

from pathlib import Path

from armwright.system import turns


def test_a_free_turn_is_taken_and_given_back(tmp_path: Path) -> None:
    path = tmp_path / "folder" / ".turn"
    for _ in range(2):
        with turns.alone(path):
            pass
        with turns.alone_if_free(path) as free, turns.alone_if_free(path) as free_again:
            assert (free, free_again) == (True, False)


def test_a_turn_that_somebody_has_is_not_waited_for(tmp_path: Path) -> None:
    with turns.alone(tmp_path / ".turn"), turns.alone_if_free(tmp_path / ".turn") as free:
        assert not free


def test_a_turn_that_nobody_ever_had_is_free(tmp_path: Path) -> None:
    with turns.alone_if_free(tmp_path / "folder" / ".turn") as free:
        assert free
    assert list(tmp_path.iterdir()) == []
