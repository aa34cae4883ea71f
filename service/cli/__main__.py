"""`python -m service.cli` is the command `deltabar`."""

from __future__ import annotations

from service.cli import main

main()
