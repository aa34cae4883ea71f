"""Prints what the package needs, a line each, with the extras that are named: `python docker/requirements.py postgres`.

So the image's layer of dependencies is kept while the sources change: pip itself installs both or neither.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
print(
    *project["dependencies"],
    *(each for extra in sys.argv[1:] for each in project["optional-dependencies"][extra]),
    sep="\n",
)
