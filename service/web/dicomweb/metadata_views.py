"""Retrieve metadata (WADO-RS, PS3.18 10.4.1.1.2), joined from what is kept, compressed as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from flask import Response, request

from service.archive import metadata_cache
from service.core.native_dicom_model import first_attributes, xml_of_text
from service.web.dicomweb.answers import dated, finish, unchanged
from service.web.dicomweb.content_coding import DEFLATE, GZIP, IDENTITY, choose_coding, compressed
from service.web.dicomweb.metadata_forms import DICOM_XML, MetadataForm, choose_metadata_form
from service.web.dicomweb.multipart import OutgoingPart, encode
from service.web.dicomweb.resources import Resources, check_uids
from service.web.dicomweb.services import DicomWebServices

_STUDY_INSTANCE_UID: Final = "0020000D"
_SERIES_INSTANCE_UID: Final = "0020000E"
_SOP_INSTANCE_UID: Final = "00080018"


class MetadataViews:
    """The metadata of a study, a series or an instance."""

    def __init__(self, services: DicomWebServices, resources: Resources) -> None:
        self._services = services
        self._resources = resources

    def metadata(self, project: str, study_uid: str, series_uid: str = "", sop_instance_uid: str = "") -> Response:
        """``GET …/metadata`` below each of the three."""
        self._resources.check_project(project)
        check_uids(study_uid, series_uid, sop_instance_uid)
        form = choose_metadata_form(request, single=bool(sop_instance_uid))
        coding = choose_coding(request.headers.get("Accept-Encoding"))
        modified = None
        if sop_instance_uid:
            row = self._resources.instance(project, study_uid, series_uid, sop_instance_uid)
            modified = row.indexed_at
        blobs = self._services.index.metadata_of(
            project,
            study_uid,
            series_uid or None,
            sop_instance_uid or None,
            visible_only=not sop_instance_uid,
        )
        if not blobs:
            raise self._resources.missing(project, study_uid, series_uid, sop_instance_uid)
        root = self._services.links.service_root(request, project)
        tag = metadata_cache.fingerprint((*blobs, f"{root} {coding} {form}".encode()))
        if (answer := unchanged(request, tag, modified)) is not None:
            return answer
        response = self._answer(blobs, root, form, coding)
        if coding != IDENTITY:
            response.headers["Content-Encoding"] = coding
        response.headers["Vary"] = "Accept, Accept-Encoding"
        response.set_etag(tag, weak=True)
        return dated(finish(response), modified)

    def _answer(self, blobs: Sequence[bytes], root: str, form: MetadataForm, coding: str) -> Response:
        if not form.is_xml:
            return Response(_json(blobs, root, coding), content_type=form.media_type)
        if not form.multipart:
            body = xml_of_text(metadata_cache.text_of(blobs[0], root))
            return Response(compressed(body, coding), content_type=DICOM_XML)
        boundary = self._services.boundary()
        return Response(
            compressed(encode(_xml_parts(blobs, root), boundary), coding),
            content_type=f'multipart/related; type="{DICOM_XML}"; boundary="{boundary}"',
        )


def _json(blobs: Sequence[bytes], root: str, coding: str) -> bytes:
    if coding == DEFLATE:
        return b"".join(metadata_cache.deflated(blobs, root))
    return metadata_cache.assemble(blobs, root, gzip=coding == GZIP)


def _xml_parts(blobs: Sequence[bytes], root: str) -> Iterator[OutgoingPart]:
    """One part an instance; one after the other is taken from what is kept."""
    for blob in blobs:
        text = metadata_cache.text_of(blob, root)
        study, series, instance = _uids(text)
        location = f"{root}/studies/{study}/series/{series}/instances/{instance}/metadata"
        yield OutgoingPart(DICOM_XML, partial(xml_of_text, text), None, location)


def _uids(text: str) -> tuple[str, ...]:
    """Study, Series and SOP Instance UID; what stands behind them is not read."""
    found: dict[str, str] = {}
    for name, attribute in first_attributes(text):
        found[name] = attribute.get("Value", [""])[0] if attribute["vr"] == "UI" else ""
        if name >= _SERIES_INSTANCE_UID:
            break
    return tuple(found.get(name, "") for name in (_STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID, _SOP_INSTANCE_UID))
