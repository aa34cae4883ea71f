from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.threads import VARIABLES
from service.children import Child, ChildDied, Children
from service.datasets.readers import read_table
from service.datasets.summary import summarize
from service.jobs.schemas import Choice, Layer, Network, Output, Spec
from service.jobs.split import ByFraction
from service.protocol import FINAL, Assignment, Message
from tests.service.processes import PATIENCE, eventually
from tests.service.workplace import PENGUINS

LONG = 1_000_000


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with Children(["cpu"], 1) as children:
        yield children


@pytest.fixture
def child(children: Children) -> Iterator[Child]:
    child = children.take("cpu")
    yield child
    children.give_back(child)


def assignment(folder: Path, epochs: int = 1, device: str = "cpu") -> Assignment:
    spec = Spec(
        target="species",
        network=Network(layers=[Layer(units=8, activation="relu")]),
        optimizer=Choice(name="adam"),
        split=ByFraction(),
        epochs=epochs,
        batch_size=32,
        device=device,
        task="classification",
        loss=Choice(name="softmax_cross_entropy"),
        output=Output(units=3, activation="softmax"),
    )
    columns = summarize(read_table(PENGUINS, "csv"))
    return Assignment(
        table=PENGUINS,
        format="csv",
        columns=columns,
        spec=spec,
        draft=folder / "draft",
        checkpoints=folder / "checkpoints",
    )


def all_of(child: Child) -> list[Message]:
    """Return what the child says up to its final message, but of its progress."""
    messages: list[Message] = []
    while not messages or messages[-1][0] not in FINAL:
        messages += child.receive(PATIENCE)
    return [(kind, data) for kind, data in messages if kind != "progress"]


def has_epochs(child: Child) -> bool:
    return any(kind == "metrics" for kind, _ in child.receive(0.1))


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_one_child_takes_one_job_after_another(children: Children, tmp_path: Path):
    used = set()
    for number in range(3):
        child = children.take("cpu")
        child.start(assignment(tmp_path / str(number)))
        assert not child.ready
        assert [kind for kind, _ in all_of(child)] == ["metrics", "done"]
        assert child.ready
        children.give_back(child)
        used.add(child.pid)
    assert len(used) == 1


def test_a_stopped_child_is_ready_again(child: Child, tmp_path: Path):
    child.start(assignment(tmp_path, LONG))
    assert eventually(lambda: has_epochs(child))
    child.stop(PATIENCE)
    assert child.ready
    child.start(assignment(tmp_path))
    assert [kind for kind, _ in all_of(child)] == ["metrics", "done"]


def test_a_child_that_failed_is_not_used_again(child: Child, tmp_path: Path):
    child.start(assignment(tmp_path, device="cuda:99"))
    [(kind, data)] = all_of(child)
    assert (kind, data["code"]) == ("failed", "device_unavailable")
    assert not child.ready


def test_a_frozen_child_is_ended_by_force(child: Child, tmp_path: Path):
    child.start(assignment(tmp_path, LONG))
    assert eventually(lambda: has_epochs(child))
    os.kill(child.pid, signal.SIGSTOP)
    child.stop(0.1)
    assert gone(child.pid)
    assert not child.ready


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_child_that_dies_says_how(child: Child, tmp_path: Path, number: signal.Signals):
    child.start(assignment(tmp_path, LONG))
    os.kill(child.pid, number)
    with pytest.raises(ChildDied, match=number.name):
        all_of(child)
    assert not child.ready


def test_an_idle_child_that_died_is_not_taken(children: Children):
    child = children.take("cpu")
    children.give_back(child)
    os.kill(child.pid, signal.SIGKILL)
    assert eventually(lambda: not child.ready)
    other = children.take("cpu")
    assert other.pid != child.pid
    children.give_back(other)


def test_children_end_with_their_owner():
    with Children(["cpu"], 1) as children:
        child = children.take("cpu")
        children.give_back(child)
    assert gone(child.pid)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads a process's environment through /proc")
@pytest.mark.parametrize("threads", [1, 3])
def test_a_child_has_the_threads_it_was_given(threads: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")  # there is one setting
    with Children(["cpu"], threads) as children:
        child = children.take("cpu")
        given = Path(f"/proc/{child.pid}/environ").read_text(encoding="utf-8").split("\0")
        children.give_back(child)
    assert {f"{name}={threads}" for name in VARIABLES} <= set(given)
    assert "OMP_NUM_THREADS=7" not in given
