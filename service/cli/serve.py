"""`deltabar serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.options import AsJson, DataDir, fail, print_line, read_settings
from service.cli.panels import SERVICE

app = typer.Typer()


@app.command(rich_help_panel=SERVICE)
def serve(
    host: Annotated[
        str | None,
        typer.Option(
            help="Address to listen on; others than loopback need API keys. [default: 127.0.0.1]", metavar="ADDRESS"
        ),
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port; 0 takes a free one. [default: 8000]", max=65535, min=0)
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Workers beside the API; 0 where `deltabar worker` runs elsewhere. [default: 1]", min=0, max=64
        ),
    ] = None,
    data_dir: DataDir = None,
    watch_stdin: Annotated[
        bool, typer.Option("--watch-stdin", help="Stop when standard input ends; for programs that start the service.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run the HTTP API and its workers, one by default, until Ctrl-C.

    The API is described at `/openapi.json`. With --json, a line says where it listens, once it does.

    Example: `deltabar serve --port 9000 --data-dir /var/lib/deltabar`
    """
    settings = read_settings(host=host, port=port, workers=workers, data_dir=data_dir)
    from service import logs, serving
    from service.data_dir import CannotStart, demand_keys, prepare
    from service.doctor import cheap, tell

    logs.configure(settings.log_format)
    try:
        with serving.listen(settings) as bound:
            prepare(settings)
            demand_keys(settings)
            if not settings.workers:  # else they tell, who have most to do with it
                tell(cheap(settings))
            from service.app import create_app  # by far the slowest import, of no use when the above has failed

            url = serving.url_of(bound)

            def announce() -> None:
                folder = settings.data_dir.resolve()
                if as_json:
                    print_line({"url": url, "openapi": f"{url}/openapi.json", "data_dir": str(folder)})
                else:
                    typer.echo(f"deltabar listens on {url} (the API: {url}/openapi.json)")
                    typer.echo(f"data lies in {folder}; Ctrl-C stops")

            serving.serve(settings, create_app(settings), bound, announce, watch_stdin)
    except CannotStart as error:
        fail(str(error))
    if not as_json:
        typer.echo("deltabar has stopped")
