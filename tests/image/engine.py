"""Docker where its engine runs, else podman: containers as an operator would start them, with little as need be."""

from __future__ import annotations

import json
import socket
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.service.processes import eventually

PATIENCE = 120.0
MEMORY_BYTES = 2 * 2**30
CPUS = 1.5
LEAST = (
    *("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"),
    *(f"--memory={MEMORY_BYTES}", f"--cpus={CPUS}", "--pids-limit=512"),
)
DOCKER_RUN = ("--health-interval=2s",)
# Without systemd, a daemon or user namespaces; nor does podman make a /tmp that can be written here, as Docker doesn't.
PODMAN = ("podman", "--cgroup-manager=cgroupfs", "--runtime=runc")
PODMAN_RUN = (
    *("--network=slirp4netns", "--health-interval=disable", "--read-only-tmpfs=false"),
    *("--ulimit=nofile=1024:1024", "--ulimit=nproc=4096:4096"),
)


def engine(image: str) -> Engine:
    """Return the engine that has `image`."""
    docker = _works("docker", "info")
    if not docker and not _works("podman", "info"):
        pytest.fail("neither Docker's engine nor podman is there")
    return Engine(image, ("docker",), DOCKER_RUN) if docker else Engine(image, PODMAN, PODMAN_RUN)


def _works(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@dataclass(frozen=True)
class Volume:
    """A named volume."""

    name: str


class Engine:
    """Runs containers of one image."""

    def __init__(self, image: str, command: tuple[str, ...], run_options: tuple[str, ...]) -> None:
        self.image, self._command, self._run_options = image, command, run_options

    def __call__(self, *arguments: str, fails: bool = False) -> str:
        """Return what the engine prints; the test fails where the command does, or doesn't although it `fails`."""
        done = subprocess.run(
            [*self._command, *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        said = f"{arguments} ended with {done.returncode}: {done.stdout}{done.stderr}"
        assert (done.returncode != 0) == fails, said
        return done.stdout + done.stderr if fails else done.stdout

    def run(self, *arguments: str, volume: Volume, options: tuple[str, ...] = (), fails: bool = False) -> str:
        """Return what a container with these `arguments` prints until it ends."""
        started = ("run", "--rm", *LEAST, *self._run_options, f"--volume={volume.name}:/data", *options)
        return self(*started, self.image, *arguments, fails=fails)

    @contextmanager
    def volume(self) -> Iterator[Volume]:
        """Yield a volume of its own."""
        volume = Volume(f"deltabar-test-{uuid.uuid4().hex[:8]}")
        self("volume", "create", volume.name)
        try:
            yield volume
        finally:
            self("volume", "rm", volume.name)

    @contextmanager
    def serve(self, volume: Volume, admin_key: Path) -> Iterator[Service]:
        """Yield the service, on a free port of loopback, once it is ready."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        secret = f"--volume={admin_key}:/run/secrets/deltabar_admin_key:ro"
        with self._started(f"--publish=127.0.0.1:{port}:8000", secret, volume=volume) as name:
            service = Service(self, name, f"http://127.0.0.1:{port}")
            service.wait_until_ready()
            yield service

    @contextmanager
    def worker(self, volume: Volume, check: str, **settings: object) -> Iterator[Container]:
        """Yield a worker by itself, whose health is what the command `check` says."""
        variables = [f"--env=DELTABAR_{name.upper()}={value}" for name, value in settings.items()]
        with self._started(f"--health-cmd={check}", *variables, volume=volume, arguments=["worker"]) as name:
            yield Container(self, name)

    @contextmanager
    def _started(self, *options: str, volume: Volume, arguments: Sequence[str] = ()) -> Iterator[str]:
        """Yield the name of a container that runs; it is removed at the end, in whatever state."""
        name = f"deltabar-test-{uuid.uuid4().hex[:8]}"
        started = ("run", "--detach", f"--name={name}", *LEAST, *self._run_options, f"--volume={volume.name}:/data")
        self(*started, *options, self.image, *arguments)
        try:
            yield name
        finally:
            self("stop", "--time=0", name)
            self("rm", "--force", name)


@dataclass(frozen=True)
class Container:
    """A container that runs."""

    engine: Engine
    name: str

    def execute(self, *command: str, fails: bool = False) -> str:
        """Return what `command` prints, run within."""
        return self.engine("exec", self.name, *command, fails=fails)

    def state(self) -> dict[str, Any]:
        """Return what the engine says of it."""
        return json.loads(self.engine("inspect", self.name))[0]

    def is_healthy(self) -> bool:
        """Return what the image's own check says."""
        if self.engine._command == PODMAN:
            done = subprocess.run([*PODMAN, "healthcheck", "run", self.name], capture_output=True, check=False)
            return done.returncode == 0
        return eventually(lambda: self.state()["State"]["Health"]["Status"] == "healthy", PATIENCE)

    def signal(self, name: str) -> None:
        """Send the signal, such as "STOP", to its first process."""
        self.engine("kill", f"--signal={name}", self.name)

    def stop(self) -> None:
        """Stop it as an operator does: TERM, and force only after a minute."""
        self.engine("stop", "--time=60", self.name)

    def log(self) -> str:
        """Return all that it wrote."""
        done = subprocess.run([*self.engine._command, "logs", self.name], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr


@dataclass(frozen=True)
class Service(Container):
    """A container in which the service runs, at `url`."""

    url: str

    def wait_until_ready(self) -> None:
        """Return once it can do its work."""
        assert eventually(self._is_ready, PATIENCE), self.log()

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def said_by(self, check: str) -> str:
        """Return what one of the checks for readiness says."""
        return httpx.get(f"{self.url}/readyz", trust_env=False).json()["checks"][check]

    def start(self) -> None:
        """Start it again, and wait until it is ready."""
        self.engine("start", self.name)
        self.wait_until_ready()
