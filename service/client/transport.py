"""Does the steps that methods consist of, over HTTP: by blocking, or by awaiting."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import AsyncExitStack, ExitStack, closing
from typing import Any, TypeVar

import anyio
import httpx
from anyio import to_thread

from service.client.errors import DeltabarError, error_of
from service.client.steps import Ask, End, Open, Pause, Read, Step, Steps, Tell, Telling, resume

R = TypeVar("R")


class _Transport:
    """What both have in common: how a step becomes a request, and how it fails."""

    def __init__(self, base_url: httpx.URL, timeout: float) -> None:
        self._base_url, self._timeout = base_url, timeout

    def _request(self, ask: Ask) -> dict[str, Any]:
        timeout = ask.timeout if isinstance(ask, Open) and ask.timeout else self._timeout + ask.wait
        params = {name: value for name, value in ask.params.items() if value is not None}
        return {
            "method": ask.method,
            "url": ask.path,
            "params": params,
            "json": ask.json,
            "headers": ask.headers,
            "timeout": timeout,
        }

    def _broken(self, error: httpx.TransportError) -> ConnectionError:
        return ConnectionError(
            f"no answer from {self._base_url}: {error or type(error).__name__}. "
            "Is the service running (`deltabar serve`), and is this its address?"
        )


class Blocking(_Transport):
    """Does the steps in the thread that calls; it can be shared between threads."""

    def __init__(self, http: httpx.Client, timeout: float) -> None:
        super().__init__(http.base_url, timeout)
        self._http = http

    def run(self, steps: Steps[R]) -> R:
        """Do all steps, and return their result."""
        with closing(steps), _Body() as body:
            step = resume(steps)
            while not isinstance(step, End):
                step = resume(steps, *self._done(step, body))
            return step.value

    def stream(self, steps: Telling[R]) -> Generator[R, None, None]:
        """Do the steps as items are asked for, and yield these."""
        with closing(steps), _Body() as body:
            step = resume(steps)
            while not isinstance(step, End):
                if isinstance(step, Tell):
                    yield step.item
                    step = resume(steps)
                else:
                    step = resume(steps, *self._done(step, body))

    def _done(self, step: Step, body: _Body) -> tuple[Any, Exception | None]:
        try:
            match step:
                case Pause():
                    return time.sleep(step.seconds), None
                case Read():
                    return next(body.pieces, b""), None
                case Ask():
                    return self._asked(step, body), None
        except httpx.TransportError as error:
            return None, self._broken(error)
        except DeltabarError as error:
            return None, error

    def _asked(self, ask: Ask, body: _Body) -> httpx.Response:
        body.close()
        response = body.enter_context(self._http.stream(**self._request(ask), content=ask.content))
        if not response.is_success:
            response.read()
            raise error_of(response)
        if isinstance(ask, Open):
            body.pieces = response.iter_bytes(ask.piece)
        else:
            response.read()
        return response


class Awaiting(_Transport):
    """Does the steps in the event loop."""

    def __init__(self, http: httpx.AsyncClient, timeout: float) -> None:
        super().__init__(http.base_url, timeout)
        self._http = http

    async def run(self, steps: Steps[R]) -> R:
        """Do all steps, and return their result."""
        with closing(steps):
            async with _AsyncBody() as body:
                step = resume(steps)
                while not isinstance(step, End):
                    step = resume(steps, *await self._done(step, body))
                return step.value

    async def stream(self, steps: Telling[R]) -> AsyncGenerator[R, None]:
        """Do the steps as items are asked for, and yield these."""
        with closing(steps):
            async with _AsyncBody() as body:
                step = resume(steps)
                while not isinstance(step, End):
                    if isinstance(step, Tell):
                        yield step.item
                        step = resume(steps)
                    else:
                        step = resume(steps, *await self._done(step, body))

    async def _done(self, step: Step, body: _AsyncBody) -> tuple[Any, Exception | None]:
        try:
            match step:
                case Pause():
                    return await anyio.sleep(step.seconds), None
                case Read():
                    return await anext(body.pieces, b""), None
                case Ask():
                    return await self._asked(step, body), None
        except httpx.TransportError as error:
            return None, self._broken(error)
        except DeltabarError as error:
            return None, error

    async def _asked(self, ask: Ask, body: _AsyncBody) -> httpx.Response:
        await body.aclose()
        content = None if ask.content is None else _aside(ask.content)
        response = await body.enter_async_context(self._http.stream(**self._request(ask), content=content))
        if not response.is_success:
            await response.aread()
            raise error_of(response)
        if isinstance(ask, Open):
            body.pieces = response.aiter_bytes(ask.piece)
        else:
            await response.aread()
        return response


class _Body(ExitStack):
    """The answer that is open, if one is."""

    pieces: Iterator[bytes] = iter(())


class _AsyncBody(AsyncExitStack):
    """The answer that is open, if one is."""

    pieces: AsyncIterator[bytes]


async def _aside(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the pieces of a file, which are read in a thread so that the event loop goes on meanwhile."""
    while piece := await to_thread.run_sync(next, pieces, b""):
        yield piece
