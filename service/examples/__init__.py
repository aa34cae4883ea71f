"""Tables that come with deltabar, to try it with. Where each is from, and its licence, stands beside it."""

from pathlib import Path

PENGUINS = Path(__file__).with_name("penguins.csv")
"""The Palmer penguins: 344 rows, three species."""
