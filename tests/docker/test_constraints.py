"""docker/constraints.txt: versions that pyproject.toml allows, of all that it leads to, and nothing else."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from docker import constraints

LINES = [line for line in constraints.FILE.read_text().splitlines() if not line.startswith("#")]
PINNED = dict(line.split("==", 1) for line in LINES)
IMAGE = {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"}


def test_a_version_for_each_and_no_addresses_nor_hashes():
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.+]*", line) for line in LINES)
    assert sorted(PINNED, key=str) == list(PINNED)
    assert len(PINNED) == len(LINES)


@pytest.mark.parametrize("asked", constraints.requirements())
def test_what_the_project_asks_for_is_allowed(asked: str):
    requirement = Requirement(asked)
    name = canonicalize_name(requirement.name)
    assert name in PINNED, f"run `make constraints`: {name} is not pinned"
    assert requirement.specifier.contains(PINNED[name]), (
        f"run `make constraints`: {asked}, and {PINNED[name]} is pinned"
    )


def test_all_that_these_ask_for_is_there_too():
    """As far as they are installed here, and in the pinned version: what they ask for follows from their metadata."""
    from importlib.metadata import version

    missing = set()
    for name, pinned in PINNED.items():
        try:
            asked = requires(name) if version(name) == pinned else None
        except PackageNotFoundError:
            continue
        for requirement in map(Requirement, asked or ()):
            needed = requirement.marker is None or requirement.marker.evaluate(IMAGE | {"extra": ""})
            if needed and canonicalize_name(requirement.name) not in PINNED:
                missing.add(f"{name}: {requirement}")
    assert not missing
