"""Types that stand for arrays: there is no static type that NumPy, CuPy and the strict namespace share."""

from __future__ import annotations

from typing import Any, TypeAlias

Array: TypeAlias = Any
"""An array of whatever namespace the backend uses."""

Namespace: TypeAlias = Any
"""`xp`: numpy, cupy, or another module with the functions of the array API standard."""

Slots: TypeAlias = tuple[Any, ...]
"""Arrays that an optimizer keeps, in the order of its `slots`."""

Numbers: TypeAlias = tuple[Any, ...]
"""Numbers that a rule needs, each a float, or for networks with numbers of their own an array `(N, 1)`."""
