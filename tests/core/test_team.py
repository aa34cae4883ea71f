"""Threads side by side in compiled code."""

from __future__ import annotations

from threading import Thread

import numpy as np
import pytest

team = pytest.importorskip("core.kernels.team")


def test_who_meets_sees_what_the_others_wrote() -> None:
    # One more than there are likely to be cores, so that those who wait have to make room.
    count, rounds = 3, 200
    arrivals, written, seen = (
        np.zeros(8, np.int64),
        np.zeros((rounds, count), np.int64),
        np.zeros((rounds, count), bool),
    )

    def work(thread: int) -> None:
        for turn in range(rounds):
            written[turn, thread] = turn + 1
            team.meet(arrivals, (turn + 1) * count)
            seen[turn, thread] = (written[turn] == turn + 1).all()

    threads = [Thread(target=work, args=(thread,)) for thread in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen.all()
