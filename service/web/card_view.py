"""The card of a model as a page shows it: which of its scores there are, and where its weights come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from service import tables
from service.context import Context
from service.datasets import service as datasets
from service.models.schemas import Ancestor, Check, Confusion, Measured, ModelCard
from service.web.pictures import Axis, axes

PARTS = {"train": "training", "validation": "validation", "test": "test"}
MOST_CLASSES = 60
"""Of all parts together, in confusion matrices side by side: they have the square of it in cells."""


@dataclass(frozen=True)
class Checked:
    """One check of the gradients."""

    epoch: int
    how: str
    check: Check

    @property
    def verdict(self) -> tuple[str, str]:
        """What came of it, as a state and in a word."""
        if self.check.kink:
            return "paused", "no answer"
        return ("succeeded", "right") if self.check.passed else ("failed", "wrong")


@dataclass(frozen=True)
class CardView:
    """What the template shows besides the card itself.

    Attributes:
        card: the model's.
        scores: of the parts that there are, by what people call them.
        metrics: the names of the numbers in them.
        confusions: which classes were taken for which, by part; of many classes of the last part alone.
        axes: of the plots of residuals, where there are any.
        checks: of the gradients, in order.
        names: of the data sets that are still there, by id.
        jobs: of what its weights come from, the jobs that made it, by its id; of those that are still there.
    """

    card: ModelCard
    scores: dict[str, Measured]
    metrics: Sequence[str]
    confusions: dict[str, Confusion]
    axes: tuple[Axis, Axis] | None
    checks: Sequence[Checked]
    names: dict[str, str]
    jobs: dict[str, str]


def view_of(context: Context, card: ModelCard) -> CardView:
    """Return what there is to show of `card`."""
    scores = {says: card.scores[part] for part, says in PARTS.items() if part in card.scores}
    found = [(part, each.confusion) for part, each in scores.items() if each.confusion]
    points = [each.residuals.points for each in scores.values() if each.residuals and each.residuals.points]
    sources = [*card.data.values(), *(source for each in card.lineage for source in each.data.values())]
    return CardView(
        card=card,
        scores=scores,
        metrics=list(dict.fromkeys(name for each in scores.values() for name in each.metrics)),
        confusions=dict(found if len(found) * len(card.classes or ()) <= MOST_CLASSES else found[-1:]),
        axes=axes(*points) if points else None,
        checks=[
            Checked(each.epoch, how, check)
            for each in card.certificates
            for how, check in (("forward against back", each.dot_test), ("along a direction", each.directional))
        ],
        names=datasets.names(context, {source.dataset_id for source in sources}),
        jobs=_makers(context, card.lineage),
    )


def _makers(context: Context, lineage: Sequence[Ancestor]) -> dict[str, str]:
    ids = [each.id for each in lineage]
    with context.database.read() as session:
        rows = [
            session.execute(select(table.id, table.job_id).where(table.id.in_(ids))).all()
            for table in (tables.Model, tables.Checkpoint)
        ]
    return {row.id: row.job_id for found in rows for row in found}
