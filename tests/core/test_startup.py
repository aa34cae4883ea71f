"""What `import core` leaves for later: modules that take long to import and that not every program needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

PRINTS_MODULES = "import numpy, sys; before = set(sys.modules); import core; print(*sys.modules.keys() - before)"
RARE = (
    *("numba", "llvmlite", "cupy", "scipy", "sklearn", "threadpoolctl", "safetensors"),
    *("numpy.random", "ast", "hashlib", "importlib.metadata", "decimal"),
    *("subprocess", "asyncio", "logging", "concurrent"),
)
FEW = 20
"""More modules than that, beside core's own, would be those of a package that nobody thought of above."""


@pytest.fixture(scope="module")
def imported() -> set[str]:
    ran = subprocess.run([sys.executable, "-c", PRINTS_MODULES], capture_output=True, text=True, check=True)
    return set(ran.stdout.split())


@pytest.mark.parametrize("name", RARE)
def test_a_rare_module_waits_until_it_is_needed(imported: set[str], name: str):
    assert "core.network" in imported
    assert not [module for module in imported if module == name or module.startswith(f"{name}.")]


def test_few_modules_come_with_core(imported: set[str]):
    others = {module for module in imported if module.partition(".")[0] != "core"}
    assert len(others) <= FEW, sorted(others)
