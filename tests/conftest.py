from __future__ import annotations

from importlib.util import find_spec

if find_spec("hypothesis"):  # `make test-gpu` runs where there is nothing but numpy, cupy and pytest
    from hypothesis import settings

    # A machine that does other work at the same time is slow, not wrong.
    settings.register_profile("deltabar", deadline=None, derandomize=True)  # the same examples for everyone
    settings.load_profile("deltabar")
