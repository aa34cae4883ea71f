"""docs/operations.md: its table of settings, and its backup."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from docs import settings_table
from service.cli.options import OF_CORE
from service.settings import Settings

TEXT = settings_table.FILE.read_text(encoding="utf-8")


def test_the_table_of_settings_is_that_of_the_class():
    assert settings_table.with_table(TEXT) == TEXT, "run `make docs`"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_stands_in_it_once(name: str):
    assert TEXT.count(f"| `DELTABAR_{name.upper()}` |") == 1


def test_every_variable_that_is_named_is_a_setting():
    settings = {f"DELTABAR_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"DELTABAR_[A-Z_]+\b", TEXT)) <= settings | OF_CORE


def test_the_files_that_it_links_to_are_there():
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", TEXT):
        assert (settings_table.FILE.parent / link).exists(), link


def test_the_backup_has_what_is_not_yet_in_the_file(tmp_path: Path):
    [command] = re.findall(r'python -c "(.*sqlite3.*)"', TEXT)
    with sqlite3.connect(tmp_path / "deltabar.db") as running:
        running.execute("PRAGMA journal_mode=WAL")
        running.execute("CREATE TABLE t (x)")
        running.execute("INSERT INTO t VALUES (7)")
        running.commit()
        exec(command.replace("/data/", f"{tmp_path}/"), {})
        copy = sqlite3.connect(tmp_path / "backup.db")
        assert copy.execute("SELECT x FROM t").fetchall() == [(7,)]
        copy.close()
    running.close()
