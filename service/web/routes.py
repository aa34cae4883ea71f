"""The pages. Each shows what the API tells the same caller, and takes it from the same functions."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from service.context import ReadContext
from service.datasets import service as datasets
from service.ids import DatasetId, JobId, StartId
from service.jobs import service as jobs
from service.jobs.schemas import State
from service.jobs.states import STATES
from service.pages import After
from service.problems import Problem, field_errors, invalid
from service.traces import service as traces
from service.web import job_form, job_views, live, system_view
from service.web.rendering import fragment, render

MOST_COMPARED = 8
JOBS_A_PAGE, DATASETS_SHOWN = 20, 8


class _Page(APIRoute):
    """A route whose errors are pages too, for whoever asks for pages; programs get problem documents."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await answer(request)
            except (Problem, RequestValidationError) as error:
                if "text/html" not in request.headers.get("accept", ""):
                    raise
                problem = error if isinstance(error, Problem) else invalid(field_errors(list(error.errors())))
                return render(request.state.caller, "problem.html", problem.status, problem=problem.document())

        return handle


router = APIRouter(include_in_schema=False, route_class=_Page)


@router.get("/")
def start_page(context: ReadContext) -> Response:
    """Take a file; show the data sets and jobs that came last."""
    recent, _ = datasets.list_datasets(context, DATASETS_SHOWN, None)
    rows, _ = job_views.rows(context, 5, None)
    return render(context.caller, "start.html", datasets=recent, rows=rows, most=context.settings.max_upload_bytes)


@router.get("/datasets/{dataset_id}")
def dataset_page(
    context: ReadContext, dataset_id: str, like: JobId | None = None, init_from: StartId | None = None
) -> Response:
    """Show a data set, and the form of a job on it: as the job `like` was, and to start from other weights."""
    dataset = datasets.get_dataset(context, dataset_id)
    head = datasets.preview(context, dataset_id, 5)
    form = job_form.of_dataset(context, dataset, like, init_from)
    return render(context.caller, "dataset.html", dataset=dataset, head=head, **form)


@router.get("/jobs")
async def jobs_page(
    context: ReadContext,
    request: Request,
    after: After = None,
    state: Annotated[list[State], Query()] = [],  # noqa: B006 -- FastAPI copies it
    dataset_id: DatasetId | None = None,
) -> Response:
    """List the jobs, newest first; as events, the list whenever it changes."""

    def values() -> dict[str, Any]:
        rows, has_more = job_views.rows(context, JOBS_A_PAGE, after, states=state, dataset_id=dataset_id)
        chosen = {"state": state, "dataset_id": dataset_id, "after": after}
        return {"rows": rows, "has_more": has_more, "chosen": chosen, "states": STATES}

    if live.is_wanted(request):
        return live.follow(context, lambda: fragment("job_list.html", **values()))
    return await to_thread.run_sync(lambda: render(context.caller, "jobs.html", **values()))


@router.get("/jobs/{job_id}")
def job_page(context: ReadContext, job_id: str) -> Response:
    """Show one job."""
    return render(context.caller, "job.html", plots=True, **job_views.whole(context, job_id))


@router.get("/jobs/{job_id}/inspector")
def inspector_page(
    context: ReadContext,
    job_id: str,
    row: Annotated[list[Annotated[str, Query(pattern=r"^\d{0,18}$")]], Query(max_length=traces.MOST_ROWS + 1)] = [],  # noqa: B006
) -> Response:
    """Show one pass forward and back through the job's network; a row that is left empty in the form is none."""
    job = jobs.get_job(context, job_id)
    trace = traces.trace_of_job(context, job_id, [int(text) for text in row if text])
    n_rows = datasets.get_dataset(context, job.dataset_id).rows
    return render(context.caller, "inspector.html", job=job, trace=trace, n_rows=n_rows, most=traces.MOST_ROWS)


@router.get("/inspector")
def example_page(context: ReadContext) -> Response:
    """Show one pass through the example of the design."""
    finished, _ = job_views.rows(context, 8, None, states=["succeeded"])
    trace = traces.trace_of_example()
    return render(context.caller, "inspector.html", job=None, trace=trace, n_rows=None, most=None, finished=finished)


@router.get("/compare")
def compare_page(
    context: ReadContext,
    job: Annotated[list[str], Query(max_length=MOST_COMPARED)] = [],  # noqa: B006
) -> Response:
    """Show the curves of several jobs in one plot, and in what their specs differ."""
    return render(context.caller, "compare.html", plots=True, most=MOST_COMPARED, **job_views.compared(context, job))


@router.get("/system")
async def system_page(context: ReadContext, request: Request) -> Response:
    """Show the workers, the queue and the rates; as events, whenever they change."""
    if live.is_wanted(request):
        return live.follow(context, lambda: fragment("system_parts.html", system=system_view.look(context)))
    return await to_thread.run_sync(lambda: render(context.caller, "system.html", system=system_view.look(context)))
