"""What a killed upload leaves behind is removed at the next start; everything else stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

from service.context import Context
from service.datasets import files
from tests.service.live import live

HOUR = 3600.0


def leave_behind(context: Context, key: str, age: float) -> Path:
    path = context.storage.path(key)
    path.parent.mkdir(exist_ok=True)
    path.write_text("half a table")
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def test_only_what_is_abandoned_is_removed(tmp_path: Path):
    with live(tmp_path) as (http, context):
        table = http.post("/v1/datasets", content=b"a,b\n1,2\n").json()
        own = context.storage.path(files.table_key(table["id"]))
        os.utime(own, (0, 0))
        abandoned = [leave_behind(context, key, 2 * HOUR) for key in ("drafts/old", "datasets/ds_old")]
        young = [leave_behind(context, key, HOUR / 2) for key in ("drafts/young", "datasets/ds_young")]
    with live(tmp_path) as (http, _):
        assert not any(path.exists() for path in abandoned)
        assert all(path.exists() for path in [own, *young])
        assert http.get(f"/v1/datasets/{table['id']}/content").content == b"a,b\n1,2\n"
