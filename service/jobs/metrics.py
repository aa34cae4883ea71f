"""The loss curve as numbers: the epochs of a job, all of them or so many that they can be looked at.

A curve is read in two passes. The first goes through all its events and keeps, of each epoch, what decides which are to
be shown: 24 bytes. The second reads the events of those, in batches, each in a transaction of its own, so that a client
that takes its time holds no connection.
"""

from __future__ import annotations

import csv
import io
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.context import Context
from service.jobs.epochs import unpack
from service.problems import not_found
from service.tables import Event, Training

Columns = dict[str, list[int | float | None]]
ALWAYS = ("epoch", "step", "seconds", "loss", "validation_loss")
WHOLE = frozenset({"epoch", "step"})
"""Columns of integers."""
EPOCHS_AT_ONCE, EVENTS_AT_ONCE = 10_000, 200
"""What is read together, whichever comes first: an event may have one epoch or thousands."""


@dataclass
class _Piece:
    """What an event tells of the curve: its epochs, the losses of each, and which of them are wanted."""

    sequence: int
    epochs: np.ndarray
    losses: np.ndarray
    wanted: np.ndarray | None = None


class Curve:
    """The epochs of a job, thinned to at most `max_points`.

    An attempt that goes on from a checkpoint takes some epochs again, and the last one that did counts.

    A thinned curve has the first and the last epoch, and of equal stretches between them those with the least and the
    greatest loss, and validation loss. So every point is an epoch's own, and no spike or best epoch is lost, which a
    picture of a curve is looked at for; largest-triangle-three-buckets, the usual alternative, promises neither.

    Raises `Problem` (404) when there is no such job.

    Attributes:
        n_epochs: how many there are before thinning.
        names: of the columns.
    """

    def __init__(self, context: Context, job_id: str, max_points: int | None = None) -> None:
        self._context, self._job_id = context, job_id
        with context.database.read() as session:
            if session.get(Training, job_id) is None:
                raise not_found("job", job_id)
            pieces, self.names = _survey(session, job_id)
        self.n_epochs = sum(len(piece.epochs) for piece in pieces)
        if max_points is not None and self.n_epochs > max_points:
            places = thin(np.concatenate([piece.losses for piece in pieces]), max_points)
            ends = np.cumsum([len(piece.epochs) for piece in pieces])
            for piece, end in zip(pieces, ends, strict=True):
                start = end - len(piece.epochs)
                first, last = np.searchsorted(places, [start, end])
                piece.wanted = places[first:last] - start
            pieces = [piece for piece in pieces if piece.wanted is not None and len(piece.wanted)]
        self._pieces = pieces

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the numbers, of shape (n_epochs, n_names), NaN where an epoch has none."""
        for pieces in _batches(self._pieces):
            query = select(Event.sequence, Event.epochs).where(
                Event.job_id == self._job_id, Event.sequence.in_([piece.sequence for piece in pieces])
            )
            with self._context.database.read() as session:
                found = dict(session.execute(query).all())
            blocks = [self._rows(piece, found[piece.sequence]) for piece in pieces if piece.sequence in found]
            if blocks:  # else the job was deleted meanwhile
                yield np.concatenate(blocks)

    def columns(self) -> Columns:
        """Return everything, column by column."""
        blocks = list(self.blocks())
        numbers = np.concatenate(blocks) if blocks else np.empty((0, len(self.names)))
        return {name: _values(name, column) for name, column in zip(self.names, numbers.T, strict=True)}

    def csv(self) -> Iterator[str]:
        """Yield a CSV file with a header, piece by piece (RFC 4180); what is missing is left empty."""
        yield _lines([self.names])
        for block in self.blocks():
            columns = [_values(name, column) for name, column in zip(self.names, block.T, strict=True)]
            yield _lines(zip(*columns, strict=True))

    def _rows(self, piece: _Piece, packed: bytes | None) -> np.ndarray:
        assert packed is not None, "an event without epochs is no piece"
        names, numbers = unpack(packed)
        numbers = numbers[: len(piece.epochs)] if piece.wanted is None else numbers[piece.wanted]
        if names == tuple(self.names):
            return numbers
        rows = np.full((len(numbers), len(self.names)), np.nan)
        rows[:, [self.names.index(name) for name in names]] = numbers
        return rows


def thin(losses: np.ndarray, most: int) -> np.ndarray:
    """Return which of `losses`, of shape (n_epochs, n_curves), to show: at most `most` places, in order.

    >>> thin(np.array([[5.0], [4], [9], [3], [2], [1], [0]]), 4)
    array([0, 2, 5, 6])
    """
    n, n_curves = losses.shape
    edges = np.linspace(1, n - 1, (most - 2) // (2 * n_curves) + 1).astype(int)
    places = [np.array([0, n - 1])]
    for numbers, reduce in (
        (np.nan_to_num(losses, nan=np.inf), np.argmin),
        (np.nan_to_num(losses, nan=-np.inf), np.argmax),
    ):
        places += [start + reduce(numbers[start:stop], axis=0) for start, stop in pairwise(edges)]
    return np.unique(np.concatenate(places))


def _survey(session: Session, job_id: str) -> tuple[list[_Piece], list[str]]:
    query = select(Event.sequence, Event.epochs).where(Event.job_id == job_id, Event.epochs.is_not(None))
    pieces: list[_Piece] = []
    starts = _starts(session, job_id)
    columns: dict[str, None] = dict.fromkeys(ALWAYS)
    for sequence, packed in session.execute(
        query.order_by(Event.sequence).execution_options(yield_per=EVENTS_AT_ONCE // 10)
    ):
        assert packed is not None
        names, numbers = unpack(packed)
        columns.update(dict.fromkeys(names))
        epochs = numbers[:, names.index("epoch")].copy()
        losses = numbers[:, [names.index("loss"), names.index("validation_loss")]]
        while starts and starts[0][0] < sequence:
            _go_back(pieces, starts.popleft()[1])
        pieces.append(_Piece(sequence, epochs, losses))
    for _, epoch in starts:
        _go_back(pieces, epoch)
    return pieces, list(columns)


def _batches(pieces: list[_Piece]) -> Iterator[list[_Piece]]:
    batch: list[_Piece] = []
    n_epochs = 0
    for piece in pieces:
        if batch and (n_epochs + len(piece.epochs) > EPOCHS_AT_ONCE or len(batch) == EVENTS_AT_ONCE):
            yield batch
            batch, n_epochs = [], 0
        batch.append(piece)
        n_epochs += len(piece.epochs)
    if batch:
        yield batch


def _starts(session: Session, job_id: str) -> deque[tuple[int, int]]:
    """Return of each attempt the sequence of the event that tells of it, and the epoch after which it goes on."""
    query = select(Event.sequence, Event.data).where(Event.job_id == job_id, Event.kind == "state")
    told = session.execute(query.order_by(Event.sequence)).all()
    return deque((row.sequence, row.data.get("epoch", 0)) for row in told if row.data["state"] == "running")


def _go_back(pieces: list[_Piece], epoch: int) -> None:
    """Take away the epochs after `epoch`, which are gone through again."""
    while pieces and pieces[-1].epochs[-1] > epoch:
        last = pieces[-1]
        n = int(np.searchsorted(last.epochs, epoch, side="right"))
        last.epochs, last.losses = last.epochs[:n], last.losses[:n]
        if not n:
            pieces.pop()


def _values(name: str, column: np.ndarray) -> list[int | float | None]:
    if name in WHOLE:
        return column.astype(np.int64).tolist()
    return [None if math.isnan(value) else value for value in column.tolist()]


def _lines(rows: object) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)  # type: ignore[arg-type]
    return text.getvalue()
