"""What each DICOMweb endpoint does, in the standard's words: its transaction, media types and query parameters.

The capabilities document and the conformance statement are told from here, and so are the routes that the table of
roles (``service.web.route_table``) grants; a test walks the application's routes and asks each for what stands here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from service.core.search import SEARCH_KEYS, Level
from service.web.dicomweb.media_types import (
    AS_STORED,
    DICOM,
    DICOM_JSON,
    EXPLICIT_VR_LITTLE_ENDIAN,
    JSON,
    OCTET_STREAM,
)
from service.web.dicomweb.metadata_forms import DICOM_XML
from service.web.dicomweb.qido_parameters import PARAMETERS
from service.web.dicomweb.rendered_text import PDF, TEXT_FORMS
from service.web.dicomweb.rendering import IMAGE_TYPES
from service.web.dicomweb.wado_uri_parameters import PARAMETERS as URI_PARAMETERS

PLACES: Final[Mapping[str, str]] = {
    "study_uid": "StudyInstanceUID",
    "series_uid": "SeriesInstanceUID",
    "sop_instance_uid": "SOPInstanceUID",
    "frames": "framelist",
    "path": "BulkdataReference",
    "project": "Project",
    "workitem_uid": "UPSInstanceUID",
    "transaction_uid": "TransactionUID",
    "ae_title": "AETitle",
}
"""Names of the parts of addresses, by those that the routes have."""


def multipart(media_type: str) -> str:
    """How parts of a type are asked for."""
    return f'multipart/related; type="{media_type}"'


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction at one resource.

    Parameters
    ----------
    name : as PS3.18 Table H-1 has it, without blanks
    section : of PS3.18
    produces, consumes : media types, the default first
    transfer_syntaxes : by media type that is produced, what may be asked for besides the default
    query : names of query parameters; search keys by their keywords
    statuses : with which it may end well
    """

    name: str
    section: str = ""
    produces: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ()
    transfer_syntaxes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    query: tuple[str, ...] = ()
    statuses: tuple[int, ...] = (200,)


_NEGOTIATION: Final = ("accept", "charset")
_METADATA: Final = (DICOM_JSON, JSON, multipart(DICOM_XML))
_RENDERING: Final = ("annotation", "iccprofile", "quality", "viewport", "window")
_IMAGES: Final = (*IMAGE_TYPES, *(multipart(image_type) for image_type in IMAGE_TYPES))
_STORED: Final = (DICOM, DICOM_JSON, DICOM_XML)
_SYNTAXES: Final = (EXPLICIT_VR_LITTLE_ENDIAN, AS_STORED)


def _search(name: str, levels: Iterable[Level]) -> Transaction:
    wanted = set(levels)
    keys = [key.keyword for key in SEARCH_KEYS if key.level in wanted]
    query = (*PARAMETERS, *keys)
    return Transaction(name, "10.6", _METADATA, query=query, statuses=(200, 204))


def _retrieve(name: str, media_type: str, *, single: bool = False, ranges: bool = False) -> Transaction:
    produces = (multipart(media_type), *((media_type,) if single else ()))
    syntaxes = {multipart(media_type): _SYNTAXES}
    statuses = (200, 206, 304) if ranges else (200, 304)
    return Transaction(name, "10.4", produces, transfer_syntaxes=syntaxes, query=_NEGOTIATION, statuses=statuses)


def _metadata(name: str) -> Transaction:
    return Transaction(name, "10.4", _METADATA, query=_NEGOTIATION, statuses=(200, 304))


def _rendered(name: str, *, text: bool = False, query: tuple[str, ...] = _RENDERING) -> Transaction:
    produces = (*_IMAGES, *((*TEXT_FORMS, PDF) if text else ()))
    return Transaction(name, "10.4", produces, query=(*_NEGOTIATION, *query), statuses=(200, 304))


def _stored(name: str) -> Transaction:
    consumes = (*(multipart(media_type) for media_type in _STORED), DICOM)
    return Transaction(name, "10.5", _METADATA, consumes, query=_NEGOTIATION, statuses=(200, 202))


_WORKITEM_BODIES: Final = (DICOM_JSON, JSON, DICOM_XML, multipart(DICOM_XML))


def _workitem(
    name: str, section: str, *, takes: bool = False, gives: bool = False, statuses: tuple[int, ...] = (200,)
) -> Transaction:
    consumes = _WORKITEM_BODIES if takes else ()
    return Transaction(name, section, _METADATA if gives else (), consumes, query=_NEGOTIATION, statuses=statuses)


_LEVELS: Final = (("study", "Study"), ("series", "Series"), ("instance", "Instance"))
_THUMBNAIL: Final = ("annotation", "quality", "viewport")

TRANSACTIONS: Final[Mapping[str, Transaction]] = {
    "search_studies": _search("SearchForStudies", [Level.STUDY]),
    "search_series": _search("SearchForSeries", [Level.STUDY, Level.SERIES]),
    "search_series_of_study": _search("SearchForStudySeries", [Level.SERIES]),
    "search_instances": _search("SearchForInstances", Level),
    "search_instances_of_study": _search("SearchForStudyInstances", [Level.SERIES, Level.INSTANCE]),
    "search_instances_of_series": _search("SearchForStudySeriesInstances", [Level.INSTANCE]),
    **{f"retrieve_{level}": _retrieve(f"Retrieve{word}", DICOM, single=level == "instance") for level, word in _LEVELS},
    **{f"retrieve_{level}_metadata": _metadata(f"Retrieve{word}Metadata") for level, word in _LEVELS},
    **{f"render_{level}": _rendered(f"RetrieveRendered{word}", text=level == "instance") for level, word in _LEVELS},
    **{f"render_{level}_thumbnail": _rendered(f"Retrieve{word}Thumbnail", query=_THUMBNAIL) for level, word in _LEVELS},
    "retrieve_frames": _retrieve("RetrieveFrames", OCTET_STREAM, single=True),
    "render_frames": _rendered("RetrieveRenderedFrames"),
    "render_frames_thumbnail": _rendered("RetrieveFramesThumbnail", query=_THUMBNAIL),
    "retrieve_bulk_data": _retrieve("RetrieveBulkdata", OCTET_STREAM, single=True, ranges=True),
    **{f"retrieve_{level}_bulk_data": _retrieve(f"Retrieve{word}Bulkdata", OCTET_STREAM) for level, word in _LEVELS},
    **{f"retrieve_{level}_pixel_data": _retrieve(f"Retrieve{word}PixelData", OCTET_STREAM) for level, word in _LEVELS},
    "store": _stored("StoreInstances"),
    "store_in_study": _stored("StoreStudyInstances"),
    "search_workitems": _workitem("SearchForWorkitem", "11.9", gives=True, statuses=(200, 204, 206)),
    "create_workitem": _workitem("CreateWorkitem", "11.4", takes=True, statuses=(201,)),
    "retrieve_workitem": _workitem("RetrieveWorkitem", "11.5", gives=True),
    "update_workitem": _workitem("UpdateWorkitem", "11.6", takes=True),
    "change_workitem_state": _workitem("ChangeWorkitemState", "11.7", takes=True),
    "request_cancellation": _workitem("RequestWorkitemCancellation", "11.8", takes=True, statuses=(202,)),
    "subscribe": _workitem("Subscribe", "11.10", statuses=(201,)),
    "unsubscribe": _workitem("Unsubscribe", "11.11"),
    "suspend_subscription": _workitem("SuspendWorklistSubscription", "11.12"),
    "open_event_channel": _workitem("OpenEventChannel", "8.10.4", statuses=(101,)),
}
"""By endpoint, without the name of its blueprint."""

URI_SERVICE: Final = Transaction(
    "RetrieveInstanceByURI", "9", (*IMAGE_TYPES, DICOM, *TEXT_FORMS, PDF), query=URI_PARAMETERS, statuses=(200, 304)
)
"""WADO-URI, which stands beside the resources of DICOMweb."""


def transaction_of(endpoint: str) -> Transaction:
    """What an endpoint does; of one that is not described its name alone."""
    return TRANSACTIONS.get(endpoint) or Transaction("".join(word.title() for word in endpoint.split("_")))
