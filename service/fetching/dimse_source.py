"""Studies of a DIMSE peer: found by C-FIND, fetched by C-GET into the spool or by C-MOVE to our node."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from pydicom.dataset import Dataset

from dicom_nodes.object_sink import ObjectSink
from dicom_nodes.peer import ContextsRefused, PeerAddress
from dicom_nodes.query_model import Model, QueryLevel
from dicom_nodes.query_scu import QueryAssociation
from dicom_nodes.requestor import RequestorSettings
from dicom_nodes.retrieve_scu import COMMON_CLASSES, Conduct, RetrievalNotTaken, RetrieveOutcome, get, move
from service.fetching.request import PullRequest
from service.fetching.source import Fetched, FoundSeries, FoundStudy, ListedObject, Stop

Way = Literal["auto", "get", "move"]


class DimseSource:
    """Fills ``source.StudySource`` for one peer and one project.

    Parameters
    ----------
    sink : opens the spool when a first object comes by C-GET
    called_ae_title : the project's title, by which objects come to it; the peer has to know it for C-MOVE
    way : "auto" asks for C-GET first, and for C-MOVE where the peer has none
    """

    def __init__(
        self,
        peer: PeerAddress,
        settings: RequestorSettings,
        sink: Callable[[], ObjectSink],
        called_ae_title: str,
        way: Way = "auto",
    ) -> None:
        self._peer = peer
        self._settings = settings
        self._sink = sink
        self._called_ae_title = called_ae_title
        self._way = way

    def find(self, request: PullRequest, stop: Stop) -> Iterator[FoundStudy]:
        """The studies that match."""
        with QueryAssociation(self._peer, settings=self._settings) as association:
            for found in association.find(Model.STUDY_ROOT, QueryLevel.STUDY, request.identifier(), stop=stop):
                yield FoundStudy(_text(found, "StudyInstanceUID"), _text(found, "StudyDate"), _text(found, "StudyTime"))

    def series_of(self, study_uid: str, stop: Stop) -> list[FoundSeries]:
        """The series of a study."""
        asked = _identifier(StudyInstanceUID=study_uid, SeriesInstanceUID="", Modality="", BodyPartExamined="")
        with QueryAssociation(self._peer, settings=self._settings) as association:
            found = association.find(Model.STUDY_ROOT, QueryLevel.SERIES, asked, stop=stop)
            return [FoundSeries(_text(one, "Modality"), _text(one, "BodyPartExamined").upper()) for one in found]

    def objects_of(self, study_uid: str, stop: Stop) -> list[ListedObject]:
        """Every object of a study, series by series."""
        listed: list[ListedObject] = []
        with QueryAssociation(self._peer, settings=self._settings) as association:
            asked = _identifier(StudyInstanceUID=study_uid, SeriesInstanceUID="")
            series = list(association.find(Model.STUDY_ROOT, QueryLevel.SERIES, asked, stop=stop))
            for series_uid in sorted({_text(found, "SeriesInstanceUID") for found in series}):
                asked = _identifier(
                    StudyInstanceUID=study_uid, SeriesInstanceUID=series_uid, SOPInstanceUID="", SOPClassUID=""
                )
                images = association.find(Model.STUDY_ROOT, QueryLevel.IMAGE, asked, stop=stop)
                listed.extend(
                    ListedObject(series_uid, _text(found, "SOPInstanceUID"), _text(found, "SOPClassUID"))
                    for found in images
                )
        return listed

    def fetch(self, study_uid: str, objects: Sequence[ListedObject], stop: Stop) -> Fetched:
        """Have objects of one series sent."""
        identifier = _identifier(
            StudyInstanceUID=study_uid,
            SeriesInstanceUID=objects[0].series_uid,
            SOPInstanceUID=[listed.sop_instance_uid for listed in objects],
        )
        if self._way != "move":
            try:
                return _fetched(self._get(identifier, objects, stop))
            except (RetrievalNotTaken, ContextsRefused):
                if self._way == "get":
                    raise
                self._way = "move"
        return _fetched(self._move(identifier, stop))

    def _get(self, identifier: Dataset, objects: Sequence[ListedObject], stop: Stop) -> RetrieveOutcome:
        classes = sorted({listed.sop_class_uid for listed in objects} - {""})
        return get(
            self._peer,
            Model.STUDY_ROOT,
            QueryLevel.IMAGE,
            identifier,
            self._sink(),
            called_ae_title=self._called_ae_title,
            sop_classes=classes or COMMON_CLASSES,
            settings=self._settings,
            conduct=Conduct(stop=stop),
        )

    def _move(self, identifier: Dataset, stop: Stop) -> RetrieveOutcome:
        return move(
            self._peer,
            Model.STUDY_ROOT,
            QueryLevel.IMAGE,
            identifier,
            self._called_ae_title,
            settings=self._settings,
            conduct=Conduct(stop=stop),
        )


def _fetched(outcome: RetrieveOutcome) -> Fetched:
    counts = outcome.operations
    sent = max(outcome.received, (counts.completed or 0) + (counts.warning or 0))
    return Fetched(sent, "" if outcome.succeeded else f"the peer answered: {outcome.words}")


def _identifier(**keys: object) -> Dataset:
    identifier = Dataset()
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    return identifier


def _text(found: Dataset, keyword: str) -> str:
    return str(found.get(keyword) or "").strip()
