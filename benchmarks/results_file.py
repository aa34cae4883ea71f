"""RESULTS.md: one part for each command that measures, each kept until that command runs again."""

from __future__ import annotations

import re
from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"


def keep(title: str, report: str, path: Path = RESULTS) -> None:
    r"""Write `report` as the part `title`, in place of the one that is there, or at the end.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "RESULTS.md"
    >>> keep("A", "1", path)
    >>> keep("B", "2", path)
    >>> keep("A", "3\n\n## C\n", path)
    >>> path.read_text()
    '# A\n\n3\n\n## C\n\n# B\n\n2\n'
    """
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    parts = dict(re.findall(r"^# (.+)\n([\s\S]*?)(?=^# |\Z)", text, re.MULTILINE))
    parts[title] = report
    path.write_text("\n".join(f"# {name}\n\n{part.strip()}\n" for name, part in parts.items()), encoding="utf-8")
