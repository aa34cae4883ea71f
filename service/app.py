"""The web application: `create_app(settings)` puts the parts together and starts nothing by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from service import health, problem_handlers
from service.addresses import Addresses
from service.auth import Authentication
from service.body_limit import BodyLimit
from service.context import Context
from service.datasets import files
from service.datasets.routes import router as datasets
from service.db import Database
from service.hosts import Hosts
from service.jobs import idempotency
from service.jobs.routes import router as jobs
from service.models.inference_routes import router as inference
from service.models.routes import router as models
from service.predictions.routes import router as predictions
from service.request_log import RequestLog
from service.settings import Settings
from service.storage import Storage
from service.telemetry import Telemetry
from service.traces.routes import router as traces
from service.web import assets
from service.web.routes import router as pages
from service.web.signing_in import router as signing_in


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application for `settings`; its tables and folders are made when it starts."""
    settings = settings or Settings()
    telemetry = Telemetry()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = Database(settings.database_url)
        database.migrate()
        storage = Storage(settings.data_dir / "files")
        files.sweep(database, storage)
        telemetry.watch(database, settings.lease_seconds)
        context = app.state.context = Context(settings, database, storage, telemetry)
        sweeping = asyncio.create_task(idempotency.sweep_hourly(database))
        yield
        sweeping.cancel()
        await asyncio.wait([sweeping])
        context.artist.close()
        context.exporter.close()
        context.ingestion.close()
        database.close()

    app = FastAPI(
        title="deltabar",
        version=version("deltabar"),
        summary="Trains fully connected neural networks: POST a data set, POST a job, get weights and loss curves.",
        lifespan=lifespan,
        # FastAPI's pages load their scripts from another host, which this service never does.
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes)
    app.add_middleware(Addresses)
    app.add_middleware(Authentication, required=settings.keys_required)  # what is added last stands first
    app.add_middleware(Hosts, allowed=settings.hosts)
    app.add_middleware(RequestLog, telemetry=telemetry)
    problem_handlers.install(app)
    for router in (datasets, jobs, models, predictions, traces, inference, health.router, signing_in, pages):
        app.include_router(router)
    app.mount(f"{assets.PREFIX}/{assets.version()}", assets.Assets())
    return app
