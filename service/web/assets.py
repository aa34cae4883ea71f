"""What pages load: scripts and styles of ours, and Plotly's, under names that change when their bytes do.

They are sent as gzip to whoever takes it, compressed once: Plotly's script has 4.8 MB, and 1.5 MB so. Starlette's own
middleware would compress it anew for each browser, which takes a quarter of a second.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from anyio import to_thread
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from service.examples import PENGUINS

STATIC = Path(__file__).parent / "static"
PREFIX = "/static"
PLOTLY = "plotly.min.js"
HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept-Encoding",
}
LEAST_BYTES = 1024
"""Smaller files are sent as they are: they fit into a packet or two."""


@lru_cache(1)
def _plotly() -> Path:
    # Found without importing it: the package is large, and nothing of it but this file is needed.
    found = importlib.util.find_spec("plotly")
    assert found is not None, "plotly is a dependency"
    assert found.origin is not None
    return Path(found.origin).parent / "package_data" / PLOTLY


@lru_cache(1)
def _elsewhere() -> dict[str, Path]:
    """Return the files that don't lie in `STATIC`, by the names under which they are served."""
    return {PLOTLY: _plotly(), PENGUINS.name: PENGUINS}


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
    digest = hashlib.sha256()
    for path in [*sorted(STATIC.iterdir()), *_elsewhere().values()]:
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
        if found := _elsewhere().get(path):
            return str(found), found.stat()
        return super().lookup_path(path)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file, to be kept for ever."""
        found = await super().get_response(path, scope)
        if found.status_code == 200 and "gzip" in _taken(scope):
            whole, stat = await to_thread.run_sync(self.lookup_path, path)
            if stat is not None and stat.st_size >= LEAST_BYTES:
                packed = await to_thread.run_sync(_packed, whole)
                about = {"Content-Encoding": "gzip", "ETag": f"W/{found.headers['etag']}"}
                found = Response(packed, media_type=found.media_type, headers=about)
        found.headers.update(HEADERS)
        return found


def _taken(scope: Scope) -> Iterator[str]:
    """Yield the encodings that the browser takes."""
    for said in Headers(scope=scope).get("accept-encoding", "").split(","):
        name, _, weight = said.partition(";")
        if weight.replace(" ", "").rstrip("0.") != "q=":
            yield name.strip().lower()


@lru_cache
def _packed(path: str) -> bytes:
    return gzip.compress(Path(path).read_bytes(), mtime=0)
