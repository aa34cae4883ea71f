"""The web application on a real socket, in a thread of the test's own process; it has no worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from service.app import create_app
from service.context import Context
from service.serving import listen, url_of
from service.settings import Settings
from tests.service.processes import PATIENCE
from tests.service.workplace import INGESTION, ingestion_for, make_tables


@contextmanager
def live(data_dir: Path, **settings: Any) -> Iterator[tuple[httpx.Client, Context]]:
    """Serve an application with these settings, and yield a client of it and its context."""
    chosen = Settings(data_dir=data_dir, port=0, **settings)
    make_tables(chosen)
    app = create_app(chosen)
    with listen(chosen) as bound:
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=5)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            app.state.context = replace(app.state.context, ingestion=ingestion_for(settings))
            with httpx.Client(base_url=url_of(bound), trust_env=False, timeout=PATIENCE) as client:
                yield client, app.state.context
        finally:
            app.state.context.stopping.set()
            if app.state.context.ingestion is not INGESTION:
                app.state.context.ingestion.close()
            server.should_exit = True
            thread.join()
