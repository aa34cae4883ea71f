"""Writes `docker/constraints.txt` anew: `python docker/constraints.py`, with the Python that the image has.

pip resolves what `pyproject.toml` asks for, with every extra that an image takes, and installs nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
FILE = ROOT / "docker" / "constraints.txt"
EXTRAS = ("postgres", "cuda12")
"""Of the images."""
HEAD = """\
# The versions in the images, and of what builds them: `make constraints` writes this file,
# and tests/docker/test_constraints.py holds it against pyproject.toml.
"""


def requirements() -> list[str]:
    """Return what `pyproject.toml` asks for: to build, to run, and for `EXTRAS`."""
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = asked["project"]["optional-dependencies"]
    return [
        *asked["build-system"]["requires"],
        *asked["project"]["dependencies"],
        *(requirement for extra in EXTRAS for requirement in extras[extra]),
    ]


def resolved() -> dict[str, str]:
    """Return the version of every package that `requirements` lead to, by its name."""
    command = [*(sys.executable, "-m", "pip", "--quiet", "install", "--dry-run", "--ignore-installed", "--report", "-")]
    report = json.loads(subprocess.run([*command, *requirements()], check=True, capture_output=True, text=True).stdout)
    found = [item["metadata"] for item in report["install"]]
    return {item["name"].lower().replace("_", "-").replace(".", "-"): item["version"] for item in found}


if __name__ == "__main__":
    pinned = "".join(f"{name}=={version}\n" for name, version in sorted(resolved().items()))
    FILE.write_text(HEAD + pinned, encoding="utf-8")
