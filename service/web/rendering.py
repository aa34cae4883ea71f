"""From a template to an answer: escaped, strict about what is missing, and behind a strict Content-Security-Policy."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from service.caller import Caller
from service.problems import plain
from service.web import assets, formats, forms, pictures

POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
# Plotly makes a style element without any text, of which this is the hash, and adds its rules through the DOM; and when
# it is loaded it tries out whether the browser knows a format of pictures.
FOR_PLOTS = "; style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; img-src 'self' data:"
HEADERS = {
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Vary": "Accept, Cookie",
}


@lru_cache(1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("service.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    for name in ("number", "duration", "size", "moment", "ago", "short"):
        environment.filters[name] = getattr(formats, name)
    environment.filters.update(plain=plain, written=forms.written)
    environment.globals.update(asset=assets.url, map_style=assets.map_style, lines=pictures.lines, bars=pictures.bars)
    return environment


def fragment(template: str, **values: Any) -> str:
    """Return the part of a page that `template` makes, which is sent again when it changes."""
    return _environment().get_template(template).render(**values)


def render(
    caller: Caller | None, template: str, status: int = 200, *, plots: bool = False, **values: Any
) -> HTMLResponse:
    """Return the page that `template` makes of `values`; `caller` is whoever is signed in, if anyone is.

    A page with `plots` loads Plotly.
    """
    text = _environment().get_template(template).render(caller=caller, **values)
    policy = POLICY + FOR_PLOTS if plots else POLICY
    return HTMLResponse(text, status, HEADERS | {"Content-Security-Policy": policy})
