"""What the commands say of themselves, and what a shell can complete."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from service.cli import COMMANDS, app
from service.settings import Settings
from tests.service.commands import deltabar, invoke


def commands(group: Any = None, name: str = "") -> Iterator[tuple[str, Any]]:
    top: Any = group or typer.main.get_command(app)
    for own, command in top.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{name}{own} ")
        else:
            yield f"{name}{own}", command


EVERY = dict(commands())


def test_there_is_every_command():
    names = {name.split()[0] for name in EVERY}
    assert names == set(COMMANDS)
    for group, of_it in {
        "jobs": "submit list show watch pause resume retry cancel delete logs curve",
        "datasets": "upload list show delete",
        "models": "list show evaluate download delete",
        "predictions": "submit list show watch cancel retry download delete",
    }.items():
        assert {f"{group} {name}" for name in of_it.split()} <= EVERY.keys()


def test_the_help_names_commands_settings_and_exit_codes():
    said = deltabar("--help").stdout
    for word in (*COMMANDS, *(f"DELTABAR_{name.upper()}" for name in Settings.model_fields), "DELTABAR_URL"):
        assert word in said, word
    assert "Exit codes. 0: done" in said
    for code in ("1: ", "2: ", "3: ", "4: ", "130: "):
        assert code in said


@pytest.mark.parametrize("name", EVERY)
def test_each_command_says_what_it_does_with_an_example(name: str):
    said = invoke(*name.split(), "--help").stdout
    assert name == "version" or f"Example: deltabar {name}" in said
    assert "--json" in said
    for parameter in EVERY[name].params:
        assert parameter.name == "help" or parameter.help, f"{parameter.name} of {name} says nothing of itself"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands(shell: str):
    asked = {
        "_DELTABAR_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": "deltabar data",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "COMP_WORDS": "deltabar data",
        "COMP_CWORD": "1",
    }
    assert "datasets" in deltabar(**asked).stdout
    assert "deltabar" in deltabar(_DELTABAR_COMPLETE=f"source_{shell}").stdout
