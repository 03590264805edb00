"""What delivery asks of a peer, whatever it speaks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from pydicom.dataset import Dataset

from service.delivery.answers import Answer
from service.delivery.parcel import Parcel


class OpenTarget(Protocol):
    """A peer that listens now."""

    def takes(self, sop_class_uid: str) -> bool:
        """Whether it takes objects of a class."""

    def store(self, parcel: Parcel) -> Answer:
        """Bring it one object.

        Raises
        ------
        PeerUnavailable : it broke off, or did not answer in time; it may have the object or not
        """


class Target(Protocol):
    """A peer that results are brought to."""

    def open(self, sop_class_uids: Sequence[str]) -> AbstractContextManager[OpenTarget]:
        """Begin to bring it objects of these classes.

        Raises
        ------
        PeerUnavailable : it is not there
        """

    def studies(self, study_uid: str) -> list[Dataset] | None:
        """What it says of a study, by the original UID: an answer each time that it knows it; None if it tells nothing.

        Raises
        ------
        PeerUnavailable : it is not there
        """

    def has(self, study_uid: str, series_uid: str, sop_instance_uid: str) -> bool | None:
        """Whether it has an object; None if it tells nothing.

        Raises
        ------
        PeerUnavailable : it is not there
        """
