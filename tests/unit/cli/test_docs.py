"""The generated pages: what they hold, and when they are written."""

from __future__ import annotations

import pytest
from invoke.collection import Collection

import tasks
from armwright.cli import docs
from armwright.system.errors import FailedError
from tests.support import Tree

COMMANDS = Collection.from_module(tasks).tasks


def test_a_stale_page_fails_the_check_and_is_rewritten(tree: Tree) -> None:
    matrix = tree.load()
    with pytest.raises(FailedError, match=docs.COMMANDS) as missing:
        docs.run(matrix, COMMANDS, check=True)
    assert missing.value.next_step == "invoke docs"
    docs.run(matrix, COMMANDS)
    docs.run(matrix, COMMANDS, check=True)
    (tree.root / docs.COMMANDS).write_text("old", encoding="utf-8")
    with pytest.raises(FailedError, match=docs.COMMANDS) as stale:
        docs.run(matrix, COMMANDS, check=True)
    assert docs.MATRIX not in stale.value.what


def test_every_command_and_option_is_described() -> None:
    page = docs.make_commands_page(COMMANDS)
    for name, command in COMMANDS.items():
        assert f"\n## {name}\n" in page
        for argument in command.get_arguments():
            assert argument.names[0].upper() in page or f"--{argument.names[0]}" in page.replace("[no-]", "")


def test_help_texts_survive_a_second_page() -> None:
    assert docs.make_commands_page(COMMANDS) == docs.make_commands_page(COMMANDS)


def test_a_switch_that_is_on_and_a_short_option_are_shown() -> None:
    page = docs.make_commands_page({"build": COMMANDS["build"]})
    assert "| `--[no-]smoke` |" in page
    assert "| `--verbose`, `-v` |" in page
    assert "| `--framework VALUE` |" not in page  # a selector is described once, above


def test_texts_are_no_markup() -> None:
    page = docs.make_commands_page({"render": COMMANDS["render"]})
    assert "build/contexts/\\<id>/" in page
