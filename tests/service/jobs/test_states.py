from __future__ import annotations

from itertools import product

import pytest
from sqlalchemy import update

from service import tables
from service.context import Context
from service.jobs.schemas import Job, State
from service.jobs.states import ENDED, STATES, TRANSITIONS, Stale, move
from tests.service.history import history_of, row_of


def put_into(context: Context, job_id: str, state: State) -> None:
    with context.database.write() as session:
        session.execute(update(tables.Job).where(tables.Job.id == job_id).values(state=state, lease_token=3))


@pytest.mark.parametrize(("state", "to"), [*product(STATES, STATES)])
def test_only_the_transitions_of_the_table_happen(context: Context, job: Job, state: State, to: State):
    put_into(context, job.id, state)
    before = row_of(context, job.id), history_of(context, job.id)
    if to in TRANSITIONS[state]:
        with context.database.write() as session:
            assert move(session, job.id, to, token=3, event={"why": "test"}) == 2
        assert row_of(context, job.id)["state"] == to
        assert history_of(context, job.id)[1:] == [(2, "state", {"state": to, "why": "test"})]
    else:
        with pytest.raises(Stale, match=to), context.database.write() as session:
            move(session, job.id, to, token=3, event={})
        assert (row_of(context, job.id), history_of(context, job.id)) == before


@pytest.mark.parametrize("token", [0, 2, 4])
def test_another_token_changes_nothing(context: Context, job: Job, token: int):
    put_into(context, job.id, "running")
    before = row_of(context, job.id), history_of(context, job.id)
    with pytest.raises(Stale), context.database.write() as session:
        move(session, job.id, "succeeded", token=token, event={})
    assert (row_of(context, job.id), history_of(context, job.id)) == before


def test_every_state_has_its_successors_and_can_be_reached():
    assert set(TRANSITIONS) == set(STATES)
    assert set().union(*TRANSITIONS.values()) == set(STATES)
    assert {to for state in ENDED for to in TRANSITIONS[state]} == {"queued"}


@pytest.mark.parametrize("to", sorted(ENDED))
def test_an_end_releases_the_lease_and_has_a_time(context: Context, job: Job, to: State):
    put_into(context, job.id, "running")
    with context.database.write() as session:
        session.execute(update(tables.Job).values(requested="cancel", lease_expires_at=1e12))
        move(session, job.id, to, token=3, event={})
    row = row_of(context, job.id)
    assert (row["requested"], row["lease_expires_at"]) == (None, None)
    assert row["finished_at"] >= row["created_at"]


@pytest.mark.parametrize("to", [state for state in STATES if state not in ENDED and state != "running"])
def test_what_goes_on_has_no_end_and_no_wish_left(context: Context, job: Job, to: State):
    put_into(context, job.id, next(state for state in STATES if to in TRANSITIONS[state]))
    with context.database.write() as session:
        session.execute(update(tables.Job).values(requested="pause", lease_expires_at=1e12, finished_at=1.0))
        move(session, job.id, to, token=3, event={})
    row = row_of(context, job.id)
    assert (row["requested"], row["lease_expires_at"], row["finished_at"]) == (None, None, None)
