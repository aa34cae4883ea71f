"""A signal is not lost where its exception would be, and one who asks twice doesn't wait."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from service.terminal.interrupting import Stop, stops_on_signals

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def _as_in_a_terminal() -> Iterator[None]:
    """SIGINT as a shell leaves it to what it runs in the foreground; in the background it is ignored from the start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", SIGNALS)
def test_it_is_raised_at_once_where_nobody_looks(number: signal.Signals):
    with pytest.raises(KeyboardInterrupt), stops_on_signals():
        signal.raise_signal(number)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("number", SIGNALS)
def test_while_it_is_watched_for_it_is_raised_by_looking(number: signal.Signals):
    looks: list[str] = []

    def work(stop: Stop) -> None:
        with stop.watched():
            stop.look()
            signal.raise_signal(number)
            looks.append("nothing was raised")
            stop.look()
            looks.append("nor here")

    with stops_on_signals() as stop, pytest.raises(KeyboardInterrupt):
        work(stop)
    assert looks == ["nothing was raised"]


def test_it_is_raised_at_the_end_when_nobody_has_looked():
    with stops_on_signals() as stop, pytest.raises(KeyboardInterrupt), stop.watched():
        signal.raise_signal(signal.SIGTERM)


def test_the_second_is_raised_at_once():
    def work(stop: Stop) -> None:
        with stop.watched():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            pytest.fail("it went on")

    with stops_on_signals() as stop, pytest.raises(KeyboardInterrupt):
        work(stop)
