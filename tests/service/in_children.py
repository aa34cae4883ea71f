"""What a worker's children do besides: Python runs it when one of them starts."""

from __future__ import annotations

import sys
from pathlib import Path


def search_path(folder: Path, code: str) -> str:
    """Return a search path, `PYTHONPATH`, with which every child that a worker starts runs `code` first."""
    indented = "".join(f"    {line}\n" for line in code.splitlines())
    (folder / "sitecustomize.py").write_text(f"import sys\nif 'service.runner' in sys.orig_argv:\n{indented}")
    return ":".join([str(folder), str(Path(__file__).parents[2]), *sys.path])
