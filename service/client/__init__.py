"""A Python client: `Client().jobs.create(dataset_id=…, target=…).wait()`, and `AsyncClient` for the same with `await`.

It needs httpx and pydantic; frames, arrays and `models.network` import what they need when they are used.
"""

from __future__ import annotations

from service.client.clients import AsyncClient, Client
from service.client.datasets import Reading
from service.client.errors import DeltabarError
from service.client.jobs import LiveJob
from service.client.predictions import LivePrediction
from service.client.queued import Event

__all__ = ["AsyncClient", "Client", "DeltabarError", "Event", "LiveJob", "LivePrediction", "Reading"]
