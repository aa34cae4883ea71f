"""The card of a model, all that is known of how it came to be: a file of JSON beside its weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CARD = "card.json"


def read_card(folder: Path) -> dict[str, Any] | None:
    """Return the card that lies in `folder`; None where there is none, as models of older versions have none."""
    try:
        return json.loads((folder / CARD).read_bytes())
    except FileNotFoundError:
        return None
