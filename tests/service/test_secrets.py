"""Settings that are files of secrets, and the key that the service is given so."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import select

from service import keys, settings
from service.cli import options
from service.data_dir import CannotStart, demand_keys, prepare
from service.db import Database
from service.settings import Settings
from service.tables import ApiKey
from tests.service.conftest import NewDatabase

SECRET, OTHER = "s" * 40, "t" * 40


def keys_of(chosen: Settings) -> list[tuple[str, list[str], bool]]:
    database = Database(chosen.database_url)
    with database.read() as session:
        found = session.scalars(select(ApiKey).order_by(ApiKey.id)).all()
    database.close()
    return [(key.owner, key.scopes, key.revoked_at is None) for key in found]


def start(**given: object) -> Settings:
    chosen = Settings(**given)  # type: ignore[arg-type]
    prepare(chosen)
    demand_keys(chosen)
    return chosen


def test_a_setting_may_be_a_file_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "deltabar_port").write_text("9001\n")
    (tmp_path / "deltabar_admin_key").write_text(f"{SECRET}\n")
    chosen = Settings(_secrets_dir=tmp_path)  # type: ignore[call-arg]
    assert chosen.port == 9001
    assert chosen.admin_key is not None
    assert chosen.admin_key.get_secret_value() == SECRET
    assert SECRET not in repr(chosen) + str(chosen.model_dump())
    monkeypatch.setenv("DELTABAR_PORT", "9002")
    assert Settings(_secrets_dir=tmp_path).port == 9002  # type: ignore[call-arg]


def test_a_file_that_is_no_setting_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(settings, "SECRETS", tmp_path)
    for name in ("deltabar_prot", "deltabar_cache_dir"):  # the latter is read as a variable only
        (tmp_path / name).write_text("1")
        with pytest.raises(options.typer.Exit):
            options.read_settings()
        assert f"{name.upper()} is not a setting" in capsys.readouterr().err
        (tmp_path / name).unlink()


def test_what_clients_and_core_read_is_no_setting_and_is_let_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in options.OF_CLIENTS | options.OF_CORE:
        monkeypatch.setenv(name, str(tmp_path))
    assert options.read_settings(port=9000).port == 9000


def test_a_short_key_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("DELTABAR_ADMIN_KEY", "hunter2")
    with pytest.raises(options.typer.Exit):
        options.read_settings()
    said = capsys.readouterr().err
    assert "DELTABAR_ADMIN_KEY: " in said
    assert "32" in said
    assert "hunter2" not in said
    with pytest.raises(ValidationError):
        Settings()


def test_the_key_is_there_from_the_start_once(new_database: NewDatabase, tmp_path: Path):
    with new_database() as given:
        place = {"data_dir": tmp_path, "host": "0.0.0.0", **given}
        with pytest.raises(CannotStart, match="DELTABAR_ADMIN_KEY"):
            start(**place)
        chosen = start(**place, admin_key=SECRET)
        start(**place, admin_key=SECRET)
        assert keys_of(chosen) == [("admin", ["admin"], True)]
        # Another one takes its place, and what the settings don't hold is left alone.
        database = Database(chosen.database_url)
        keys.create(database, owner="ann")
        start(**place, admin_key=OTHER)
        assert keys_of(chosen) == [("admin", ["admin"], False), ("ann", ["write"], True), ("admin", ["admin"], True)]
        for key in keys.list_keys(database):
            keys.revoke(database, key.id)
        database.close()
        with pytest.raises(CannotStart):  # what was revoked stays so
            start(**place, admin_key=OTHER)
