"""What an upstream will not be told."""

from __future__ import annotations

import pytest

from tollhouse.core.request import Field, Loss
from tollhouse.dialects.ground_family.losses import Losses
from tollhouse.ports.provider import Traits


def test_each_loss_is_told_once_in_the_order_it_was_met() -> None:
    losses = Losses(Traits())
    losses.add(Field.SEED)
    losses.add(Field.N, "One only.", is_vital=True)
    losses.add(Field.SEED)
    assert losses.all() == (Loss(field=Field.SEED), Loss(field=Field.N, is_vital=True, why="One only."))


def test_what_the_upstream_takes_is_no_loss() -> None:
    losses = Losses(Traits(unsupported=frozenset({Field.SEED})))
    assert losses.takes(Field.TOP_P)
    assert losses.all() == ()


@pytest.mark.parametrize(("field", "is_vital"), [(Field.SEED, False), (Field.N, True), (Field.MEDIA, True)])
def test_what_it_refuses_is_lost_and_vital_where_the_answer_would_be_another(
    field: Field, is_vital: bool
) -> None:
    losses = Losses(Traits(unsupported=frozenset({field})))
    assert not losses.takes(field)
    (loss,) = losses.all()
    assert loss.is_vital is is_vital
