"""What every route needs: settings, database, storage, and who asks; made once by `create_app`, handed over by FastAPI.

A route says by the type of its context what its caller needs:

    ReadContext     the scope read: looks at things
    WriteContext    the scope write: makes or changes something
    MetricsContext  the scope metrics: tells of the service as a whole
    OpenContext     nothing; the path stands in `auth.OPEN`, and nothing of anyone's rows is told

The database of the first two has the rows of the caller and no others.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated

from anyio import CapacityLimiter
from fastapi import Depends, Request, Security
from fastapi.security import SecurityScopes

from service.aside import Aside
from service.auth import API_KEY, demand
from service.caller import SERVICE, Caller, Scope
from service.datasets.ingestion import Ingestion
from service.db import Database
from service.jobs.broadcast import Broadcast
from service.jobs.curve import Artist
from service.jobs.endings import Endings
from service.jobs.idempotency import InFlight
from service.keys import Keys
from service.models.predictor import Predictors
from service.settings import Settings
from service.storage import Storage
from service.telemetry import Telemetry


@dataclass(frozen=True)
class Context:
    """The service's own state; everything else is in the tables."""

    settings: Settings
    database: Database
    storage: Storage
    telemetry: Telemetry = field(default_factory=Telemetry)
    caller: Caller = SERVICE
    """For whom things are done."""
    in_flight: InFlight = field(default_factory=InFlight)
    predictors: Predictors = field(default_factory=Predictors)
    artist: Artist = field(default_factory=Artist)
    exporter: Aside = field(default_factory=Aside)
    """The process that writes models in other formats."""
    evaluations: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))
    """How many models may be evaluated at a time; those that wait take no thread."""
    ingestion: Ingestion = field(default_factory=Ingestion)
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set when the server is to stop: answers that wait or stream end then, instead of holding it up."""
    views: dict[Caller, Context] = field(default_factory=dict, init=False, repr=False)
    """This service as each caller sees it, of those that there were."""

    @cached_property
    def broadcast(self) -> Broadcast:
        """What reads the news of jobs for all who follow them; used by the event loop's thread alone."""
        return Broadcast(self.database, self.stopping, self.settings.poll_seconds, self.telemetry.viewers)

    @cached_property
    def endings(self) -> Endings:
        """What looks for the ends of jobs for all who wait; used by the event loop's thread alone."""
        return Endings(self.database, self.stopping, self.settings.poll_seconds)

    @cached_property
    def keys(self) -> Keys:
        """The API keys."""
        return Keys(self.database)

    def of(self, caller: Caller) -> Context:
        """Return the same service as `caller` sees it."""
        if caller not in self.views:
            database = self.database if caller.sees_all else self.database.of_owner(caller.owner)
            view = self.views[caller] = replace(self, caller=caller, database=database)
            view.__dict__.update(broadcast=self.broadcast, endings=self.endings)  # there is one of each, for all
        return self.views[caller]


async def _open(request: Request) -> Context:
    return request.app.state.context


_Asking = Annotated[Caller, Depends(API_KEY)]


async def _of_caller(request: Request, needed: SecurityScopes, caller: _Asking) -> Context:
    _demand(needed, caller)
    return request.app.state.context.of(caller)


async def _whole(request: Request, needed: SecurityScopes, caller: _Asking) -> Context:
    _demand(needed, caller)
    return request.app.state.context


def _demand(needed: SecurityScopes, caller: Caller) -> None:
    for scope in needed.scopes:
        demand(caller, Scope(scope))


ReadContext = Annotated[Context, Security(_of_caller, scopes=[Scope.READ])]
WriteContext = Annotated[Context, Security(_of_caller, scopes=[Scope.WRITE])]
MetricsContext = Annotated[Context, Security(_whole, scopes=[Scope.METRICS])]
OpenContext = Annotated[Context, Depends(_open)]
