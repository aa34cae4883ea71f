"""Modules made from text, in the user's folder for caches, where Numba keeps their machine code beside them."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType

from platformdirs import user_cache_path

IMPORTED = ("addresses", "counter", "numba_functions", "parts", "products", "team", "vector_math", "vectors")
"""What such modules import: Numba sees changes of a module's own text only, so these are told apart by its name."""


@cache
def module_of(text: str) -> ModuleType:
    """Return the module with this text, imported."""
    functions = "\0".join(Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8") for name in IMPORTED)
    name = "deltabar_" + hashlib.sha256(f"{text}\0{functions}".encode()).hexdigest()[:24]
    path = _folder() / f"{name}.py"
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        # Whole or not at all, as other processes may be about to do the same.
        with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="utf-8", delete=False) as draft:
            draft.write(text)
        Path(draft.name).replace(path)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "the file has been written"
    assert spec.loader is not None, "it is a Python file"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def copy_of(name: str) -> ModuleType:
    """Return such a module with the text of one of this package.

    Numba would keep the machine code of that one, too, but not make it anew when another changes that it imports.
    """
    return module_of(Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8"))


@cache
def _folder() -> Path:
    """Return a folder that can be written to: the user's for caches, else one that goes with this process."""
    folder = Path(os.environ.get("DELTABAR_CACHE_DIR") or user_cache_path("deltabar")) / "kernels"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return Path(tempfile.mkdtemp(prefix="deltabar-kernels-"))
