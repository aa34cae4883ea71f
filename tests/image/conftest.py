from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.client import Client
from tests.image.engine import Engine, Service, Volume, engine


@pytest.fixture(scope="session")
def image() -> str:
    """The image under test, which `make test-image` has built."""
    name = os.environ.get("TEST_IMAGE")
    if not name:
        pytest.skip("no image is built for `make test`: run `make test-image`")
    return name


@pytest.fixture(scope="session")
def containers(image: str) -> Engine:
    return engine(image)


@pytest.fixture(scope="session")
def admin_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as it is mounted as a secret: anyone within may read it."""
    path = tmp_path_factory.mktemp("secret") / "deltabar_admin_key"
    path.write_text(f"dbk_{secrets.token_urlsafe(32)}")
    path.chmod(0o444)
    path.parent.chmod(0o755)
    return path


@pytest.fixture(scope="session")
def volume(containers: Engine) -> Iterator[Volume]:
    with containers.volume() as volume:
        yield volume


@pytest.fixture(scope="session")
def container(containers: Engine, volume: Volume, admin_key: Path) -> Iterator[Service]:
    """The service in its container, up and ready; one for all tests."""
    with containers.serve(volume, admin_key) as container:
        yield container


@pytest.fixture
def client(container: Service, admin_key: Path) -> Iterator[Client]:
    with Client(container.url, api_key=admin_key.read_text()) as client:
        yield client
