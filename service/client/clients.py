"""The two clients: one that blocks, one that is awaited. Their methods are the same, described once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from service.client.datasets import Datasets
from service.client.errors import DeltabarError
from service.client.jobs import Jobs
from service.client.methods import Resource, T, method
from service.client.models import Models
from service.client.predictions import Predictions
from service.client.steps import Ask, Steps
from service.client.transport import Awaiting, Blocking

HERE = "http://127.0.0.1:8000"


class _Methods(Resource[T]):
    """What both clients have."""

    def __init__(self, transport: T) -> None:
        super().__init__(transport)
        self.datasets: Datasets[T] = Datasets(transport)
        self.jobs: Jobs[T] = Jobs(transport)
        self.models: Models[T] = Models(transport)
        self.predictions: Predictions[T] = Predictions(transport)

    @method
    def ready(self) -> Steps[bool]:
        """Return whether a service answers and can do its work."""
        try:
            yield Ask("GET", "/readyz")
        except (ConnectionError, DeltabarError):
            return False
        return True

    @method
    def request(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, json: Any = None
    ) -> Steps[httpx.Response]:
        """Send a request that no other method sends, such as `GET /metrics`, and return the answer."""
        return (yield Ask(method, path, params=params or {}, json=json))


class Client(_Methods[Blocking]):
    """Speaks to the service at `base_url`. It can be shared between threads, and used as a context manager.

    Every method raises `DeltabarError` for what the service refuses, and `ConnectionError` when no service answers.

    Args:
        base_url: where the service listens; the variable `DELTABAR_URL`, or http://127.0.0.1:8000, where not given.
        api_key: the secret of an API key, `dbk_…`; the variable `DELTABAR_API_KEY` where not given, none if empty.
        timeout: seconds to wait for an answer; uploads and event streams have timeouts of their own.
    """

    def __init__(self, base_url: str | None = None, api_key: str | None = None, timeout: float = 30.0) -> None:
        self._http = httpx.Client(**_options(base_url, api_key, timeout))
        super().__init__(Blocking(self._http, timeout))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._http.close()


class AsyncClient(_Methods[Awaiting]):
    """As `Client`, with methods to be awaited: `await client.jobs.get(…)`, `async for event in client.jobs.events(…)`.

    Args:
        base_url: as for `Client`.
        api_key: as for `Client`.
        timeout: as for `Client`.
    """

    def __init__(self, base_url: str | None = None, api_key: str | None = None, timeout: float = 30.0) -> None:
        self._http = httpx.AsyncClient(**_options(base_url, api_key, timeout))
        super().__init__(Awaiting(self._http, timeout))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        await self._http.aclose()


def _options(base_url: str | None, api_key: str | None, timeout: float) -> dict[str, Any]:
    url = base_url or os.environ.get("DELTABAR_URL") or HERE
    host = httpx.URL(url).host
    here = host in ("localhost", "::1") or host.startswith("127.")
    secret = os.environ.get("DELTABAR_API_KEY", "") if api_key is None else api_key
    return {
        "base_url": url,
        "headers": {"Authorization": f"Bearer {secret}"} if secret else {},
        "timeout": timeout,
        "trust_env": not here,  # a proxy named in the environment must not get what is meant for this machine
    }
