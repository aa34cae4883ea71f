"""What pages load: scripts and styles of ours, and Plotly's, under names that change when their bytes do."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
from functools import lru_cache
from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

STATIC = Path(__file__).parent / "static"
PREFIX = "/static"
PLOTLY = "plotly.min.js"
FOR_EVER = "public, max-age=31536000, immutable"


@lru_cache(1)
def _plotly() -> Path:
    # Found without importing it: the package is large, and nothing of it but this file is needed.
    found = importlib.util.find_spec("plotly")
    assert found is not None, "plotly is a dependency"
    assert found.origin is not None
    return Path(found.origin).parent / "package_data" / PLOTLY


@lru_cache(1)
def map_style() -> str:
    """Return the id of the style element that Plotly would make for maps: it makes none where there is such an element.

    It would be an inline style, which our pages don't allow, and they have no maps.
    """
    found = re.search(r'getElementById\("([0-9a-f]{64})"\)', _plotly().read_text(encoding="utf-8"))
    return found[1] if found else "none"


@lru_cache(1)
def version() -> str:
    """Return what tells these files from those of other versions: modules import each other by relative names."""
    digest = hashlib.sha256(str(_plotly().stat().st_size).encode())
    for path in sorted(STATIC.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def url(name: str) -> str:
    """Return where a page finds the file `name`."""
    return f"{PREFIX}/{version()}/{name}"


class Assets(StaticFiles):
    """Serves them below `/static/{version}/`; no other version is there."""

    def __init__(self) -> None:
        super().__init__(directory=STATIC)

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """Return the file that `path` names, and what the system tells of it."""
        if path == PLOTLY:
            return str(_plotly()), _plotly().stat()
        return super().lookup_path(path)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file, to be kept for ever."""
        found = await super().get_response(path, scope)
        found.headers.update({"Cache-Control": FOR_EVER, "X-Content-Type-Options": "nosniff"})
        return found
