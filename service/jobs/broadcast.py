"""One reader for all who watch: each process reads the news of every job that is followed once, for all its viewers.

A viewer holds neither a session nor a thread. What is new is encoded once, and kept in a window of the newest events of
each job that has viewers; every viewer goes through it at a pace of its own, and one that falls behind the window, or
starts before it, reads from the tables itself, page by page. So the memory doesn't grow with slow viewers.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

import anyio
import anyio.to_thread
from anyio import CapacityLimiter
from prometheus_client import Gauge
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from service.db import Database, DatabaseTrouble
from service.jobs.states import ENDED
from service.problems import dump
from service.tables import Event, Job

WINDOW_EVENTS, WINDOW_BYTES = 1000, 2**20
PIECE_BYTES = 2**16
"""Most bytes that are handed to a connection at once: what its client doesn't fetch lies in memory."""
READERS = 4
"""Threads that read for viewers who are behind, so that they leave the others to those who ask for other things."""
VIEWER_SECONDS = 0.003
"""News are passed on so much more rarely for each viewer, so that many of them take no more than a share of a core."""
HEARTBEAT_SECONDS = 15.0
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Frame:
    """An event as it stands in a stream."""

    sequence: int
    text: bytes


def frames_of(events: Iterable[Event]) -> list[Frame]:
    """Encode events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    return [Frame(e.sequence, f"id: {e.sequence}\nevent: {e.kind}\ndata: {dump(e.data)}\n\n".encode()) for e in events]


@dataclass
class Channel:
    """The newest events of a job.

    Attributes:
        last: sequence of the newest event; None until the reader has looked for the first time.
        over: whether the job has ended, or is gone, and nothing follows `last`.
        closed: whether the reader has stopped.
        beats: how often nothing has changed for 15 s.
        news: set when one of these has changed; another event then stands here for the next time.
    """

    frames: deque[Frame] = field(default_factory=deque)
    size: int = 0
    last: int | None = None
    over: bool = False
    closed: bool = False
    beats: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)
    woken: float = field(default_factory=time.monotonic)
    viewers: int = 0

    def reaches(self, after: int) -> bool:
        """Return whether the window has every event that follows `after`."""
        if self.last is None:
            return False
        return after >= self.last or (bool(self.frames) and self.frames[0].sequence <= after + 1)

    def ends_with(self, after: int) -> bool:
        """Return whether the event `after` is the job's last for good."""
        return self.over and self.last is not None and after >= self.last

    def following(self, after: int) -> list[Frame]:
        """Return the first events that follow `after`, of up to 64 KiB, or a single larger one."""
        if not self.frames:
            return []
        # The sequence has no gaps.
        return piece(list(islice(self.frames, max(0, after + 1 - self.frames[0].sequence), None)))

    def add(self, frames: list[Frame], last: int, over: bool) -> None:
        """Put what is new into the window, and wake the viewers."""
        changed = last != self.last or over != self.over
        if frames and self.frames and frames[0].sequence != self.frames[-1].sequence + 1:
            self.frames.clear()  # the reader was kept for so long that there is a gap
            self.size = 0
        self.frames.extend(frames)
        self.size += sum(len(frame.text) for frame in frames)
        while len(self.frames) > WINDOW_EVENTS or (self.size > WINDOW_BYTES and len(self.frames) > 1):
            self.size -= len(self.frames.popleft().text)
        self.last, self.over = last, over
        if changed:
            self.wake()

    def beat(self) -> None:
        """Let every viewer know that the stream lives, where nothing has changed for 15 s."""
        if time.monotonic() - self.woken >= HEARTBEAT_SECONDS:
            self.beats += 1
            self.wake()

    def wake(self) -> None:
        """Let every viewer look."""
        news, self.news, self.woken = self.news, asyncio.Event(), time.monotonic()
        news.set()


def piece(frames: list[Frame]) -> list[Frame]:
    """Return as many of the first `frames` as make up to 64 KiB, and one at least."""
    size = 0
    for n, frame in enumerate(frames):
        size += len(frame.text)
        if n and size > PIECE_BYTES:
            return frames[:n]
    return frames


class Broadcast:
    """The channels of this process, and the task that reads for them while there are any. For one event loop."""

    def __init__(self, database: Database, stopping: threading.Event, poll_seconds: float, viewers: Gauge) -> None:
        self._database, self._stopping, self._poll_seconds, self._viewers = database, stopping, poll_seconds, viewers
        self._channels: dict[str, Channel] = {}
        self._reader: asyncio.Task[None] | None = None
        self._readers: CapacityLimiter | None = None
        self._n_viewers = 0

    @contextmanager
    def watching(self, job_id: str) -> Iterator[Channel]:
        """Yield the channel of a job, which is read for as long as somebody watches it."""
        channel = self._channels.setdefault(job_id, Channel())
        self._count(channel, 1)
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read(), name="broadcast")
        try:
            yield channel
        finally:
            self._count(channel, -1)
            if not channel.viewers and self._channels.get(job_id) is channel:
                del self._channels[job_id]

    def channels(self) -> list[Channel]:
        """Return those that somebody watches."""
        return list(self._channels.values())

    async def catch_up(self, job_id: str, after: int) -> list[Frame]:
        """Return events that follow `after`, from the tables, for a viewer that is behind the window."""
        self._readers = self._readers or CapacityLimiter(READERS)
        return await anyio.to_thread.run_sync(_page, self._database, job_id, after, limiter=self._readers)

    def _count(self, channel: Channel, change: int) -> None:
        channel.viewers += change
        self._n_viewers += change
        self._viewers.set(self._n_viewers)

    async def _read(self) -> None:
        try:
            while self._channels and not self._stopping.is_set():
                seen = {job_id: channel.last for job_id, channel in self._channels.items()}
                try:
                    found = await anyio.to_thread.run_sync(_look, self._database, seen)
                except (SQLAlchemyError, DatabaseTrouble):
                    log.exception("news of jobs can't be read; it is tried again")
                    found = {}
                for job_id, (frames, last, over) in found.items():
                    if job_id in self._channels and self._channels[job_id].last == seen[job_id]:
                        self._channels[job_id].add(frames, last, over)
                for channel in self._channels.values():
                    channel.beat()
                await anyio.sleep(max(self._poll_seconds, VIEWER_SECONDS * self._n_viewers))
        finally:
            channels, self._channels = self._channels, {}
            for channel in channels.values():
                channel.closed = True
                channel.wake()


def _look(database: Database, seen: Mapping[str, int | None]) -> dict[str, tuple[list[Frame], int, bool]]:
    """Return for each job what follows what was seen of it, its last event, and whether that is the last for good."""
    found: dict[str, tuple[list[Frame], int, bool]] = {}
    ids = list(seen)
    with database.read() as session:
        jobs = {}
        for start in range(0, len(ids), WINDOW_EVENTS):
            query = select(Job.id, Job.state, Job.last_event).where(Job.id.in_(ids[start : start + WINDOW_EVENTS]))
            jobs |= {row.id: row for row in session.execute(query)}
        for job_id, before in seen.items():
            if (job := jobs.get(job_id)) is None:
                found[job_id] = ([], before or 0, True)  # deleted
                continue
            frames: list[Frame] = []
            if job.last_event != before:
                start = max(before or 0, job.last_event - WINDOW_EVENTS)
                query = select(Event).where(Event.job_id == job_id, Event.sequence > start).order_by(Event.sequence)
                frames = frames_of(session.scalars(query))
            found[job_id] = (frames, job.last_event, job.state in ENDED)
    return found


def _page(database: Database, job_id: str, after: int) -> list[Frame]:
    query = select(Event).where(Event.job_id == job_id, Event.sequence > after).order_by(Event.sequence)
    with database.read() as session:
        return piece(frames_of(session.scalars(query.limit(WINDOW_EVENTS // 4))))
