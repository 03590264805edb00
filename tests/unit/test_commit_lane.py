"""The thread that ends objects of associations: none at the cost of those behind it."""

from __future__ import annotations

from contextlib import closing

from dicom_nodes.commit_lane import CommitLane
from tests.patience import PATIENCE_S


def test_an_object_whose_end_fails_holds_up_none_behind_it() -> None:
    ended: list[float] = []
    with closing(CommitLane(4, lambda number: ended.append(1 / number))) as lane:
        for number in (1, 0, 2):
            lane.put(number)
        assert lane.drain(PATIENCE_S)
    assert ended == [1.0, 0.5]
