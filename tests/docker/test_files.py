"""Dockerfile, Compose file and manifests: right for those who read them, and nothing open that needn't be."""

from __future__ import annotations

import re
import shlex
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from service.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker" / "compose.yaml"
MANIFESTS = sorted((ROOT / "kubernetes").glob("*.yaml"))
SETTINGS = {f"deltabar_{name}" for name in Settings.model_fields}


def tool(name: str, *arguments: object) -> None:
    command = [str(Path(sysconfig.get_path("scripts")) / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dockerfile_is_linted():
    tool("hadolint", ROOT / "docker" / "Dockerfile")


def test_the_compose_file_is_valid():
    tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)


def test_the_manifests_are_valid():
    assert len(MANIFESTS) >= 4
    tool("kubernetes-validate", "--strict", "--quiet", *MANIFESTS)


COMPOSED: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
OURS = {name: each for name, each in COMPOSED["services"].items() if each["image"].startswith("deltabar:")}
PODS = [
    (f"{path.stem}-{document['metadata']['name']}", document["spec"]["template"]["spec"])
    for path in MANIFESTS
    for document in yaml.safe_load_all(path.read_text())
    if document["kind"] == "Deployment"
]


@pytest.mark.parametrize("name", OURS)
def test_a_composed_container_has_as_little_as_it_needs(name: str):
    service = OURS[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service
    assert "user" not in service  # that of the image
    assert service["mem_limit"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert {secret["target"] for secret in service["secrets"]} <= SETTINGS
    assert not service.get("environment", {}).keys() - {name.upper() for name in SETTINGS}
    assert service["build"]["target"] == service["image"].partition(":")[2]


def test_the_profiles_are_services_of_their_own():
    profiles = {name: service["profiles"] for name, service in COMPOSED["services"].items()}
    assert {name for name, said in profiles.items() if said == ["postgres"]} == {"api", "worker", "postgres"}
    assert (profiles["cpu"], profiles["gpu"]) == (["cpu"], ["gpu"])
    [device] = COMPOSED["services"]["gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}


@pytest.mark.parametrize(("name", "pod"), PODS)
def test_a_pod_has_as_little_as_it_needs(name: str, pod: dict[str, Any]):
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False  # a Service named deltabar would set DELTABAR_PORT
    for container in pod["containers"]:
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
        assert ("nvidia.com/gpu" in container["resources"]["limits"]) == name.endswith("gpu")
        assert container["image"] == ("deltabar:gpu" if name.endswith("gpu") else "deltabar:cpu")
    keys = [item["key"] for each in pod["volumes"] for item in each.get("secret", {}).get("items", ())]
    assert set(keys) <= SETTINGS


COMMANDS = [service["command"] for service in OURS.values() if "command" in service]
COMMANDS += [container["args"] for _, pod in PODS for container in pod["containers"]]
COMMANDS.append(["worker", "--check"])


@pytest.mark.parametrize("command", COMMANDS, ids=shlex.join)
def test_the_commands_are_those_of_deltabar(command: list[str]):
    """`--help` at the end is reached only by arguments that are known, with values that are allowed."""
    from service.cli import app

    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0, result.output
    for option in (each for each in command if each.startswith("--")):
        assert option in result.output


def test_what_runs_a_worker_alone_is_asked_by_its_own_check():
    own = ["deltabar", "worker", "--check"]
    composed = [each["healthcheck"]["test"] for each in OURS.values() if each.get("command") == ["worker"]]
    assert composed == [["CMD", *own]]
    workers = [container for _, pod in PODS for container in pod["containers"] if container["args"] == ["worker"]]
    assert len(workers) == 2
    for container in workers:
        for probe in ("startupProbe", "livenessProbe"):
            assert container[probe]["exec"] == {"command": own}


def test_the_image_s_variables_are_settings():
    text = (ROOT / "docker" / "Dockerfile").read_text()
    named = set(re.findall(r"\b(DELTABAR_\w+)", text))
    assert named
    assert {name.lower() for name in named} <= SETTINGS
    assert "USER 10001:10001" in text


def test_what_is_copied_into_the_image_is_named_for_the_build_and_is_there():
    text = (ROOT / "docker" / "Dockerfile").read_text()
    lines = re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE)
    sources = {source for line in lines for source in line.split()[:-1]}
    allowed = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().split() if line.startswith("!")}
    assert sources == allowed
    assert all((ROOT / source).exists() for source in sources)
