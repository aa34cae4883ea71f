from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Literal

import pytest

from service.jobs.curve import Artist, draw
from tests.service.processes import eventually

CURVE = {"epoch": [1, 2, 3], "loss": [1.0, 0.5, 0.25], "validation_loss": [1.0, None, 0.5], "accuracy": [0.1, 0.2, 0.3]}
STARTS = {"png": b"\x89PNG\r\n\x1a\n", "svg": b"<?xml"}


@pytest.fixture
def artist() -> Iterator[Artist]:
    artist = Artist()
    yield artist
    artist.close()
    assert not multiprocessing.active_children()


def words_in(svg: bytes) -> set[str]:
    """Return the texts of the picture: Matplotlib draws letters as shapes, and leaves each text in a comment."""
    return set(re.findall(r"<!-- (.*?) -->", svg.decode()))


def test_the_picture_says_what_it_shows():
    assert {"Loss of job_1", "epoch", "loss", "training", "validation"} <= words_in(draw(CURVE, "Loss of job_1", "svg"))


def test_without_validation_there_is_one_line():
    words = words_in(draw(CURVE | {"validation_loss": [None] * 3}, "Loss", "svg"))
    assert "training" in words
    assert "validation" not in words


@pytest.mark.parametrize(("last", "logarithmic"), [(0.25, False), (0.001, True), (0.0, False), (-1.0, False)])
def test_a_wide_range_of_losses_takes_a_logarithmic_axis(last: float, logarithmic: bool):
    svg = draw(CURVE | {"loss": [1.0, 0.5, last]}, "Loss", "svg")
    assert any("10^{" in word for word in words_in(svg)) == logarithmic


@pytest.mark.parametrize("format", ["png", "svg"])
def test_one_epoch_can_be_drawn(format: Literal["png", "svg"]):
    one = {name: values[:1] for name, values in CURVE.items()}
    assert draw(one, "Loss", format).startswith(STARTS[format])


def test_a_process_draws_and_another_follows_when_it_is_killed(artist: Artist):
    assert artist.draw(CURVE, "Loss", "png").result().startswith(STARTS["png"])
    [process] = multiprocessing.active_children()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    assert eventually(lambda: not multiprocessing.active_children())
    assert artist.draw(CURVE, "Loss", "svg").result().startswith(STARTS["svg"])


def test_the_process_ends_with_the_one_that_started_it():
    script = """
import multiprocessing, os, signal
from service.jobs.curve import Artist
if __name__ == "__main__":
    Artist().draw({"epoch": [1], "loss": [1.0], "validation_loss": [None]}, "Loss", "png").result()
    print(multiprocessing.active_children()[0].pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert eventually(lambda: not _lives(int(killed.stdout)))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_web_process_imports_nothing_that_draws_or_accelerates():
    script = "import service.app, sys; print(*{'matplotlib', 'cupy', 'numba'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "\n"
