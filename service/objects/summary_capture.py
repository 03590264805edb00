"""The summary of a reading as Secondary Captures, for a PACS that shows nothing else (PS3.3 A.8.1).

Single pictures in true colour, uncompressed: what every PACS shows, while multi-frame captures are newer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Final

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from service.core.annotations import AnnotationSet, Outcome, PersonObserver
from service.core.codes import Code
from service.core.findings import Finding
from service.core.geometry import ImagePlace
from service.objects.equipment import describe_equipment, series_description
from service.objects.finding_words import answer_words, author_words, measured_words
from service.objects.identity_attributes import patient_and_study_of
from service.objects.image_marks import ImageMark, main_place, marks_of
from service.objects.observer_context import is_demonstrator
from service.objects.result_context import NOT_FOR_DIAGNOSIS, ResultContext
from service.objects.shown_picture import Picture, StoredFrame, picture_of
from service.objects.source_images import SourceImages
from service.objects.summary_page import SIZE, PageText, finding_page, lines_that_fit, text_page

_OUTCOMES: Final = {
    Outcome.FINDINGS: "Findings",
    Outcome.NO_FINDING: "Nothing found",
    Outcome.NOT_ASSESSABLE: "Not assessable",
}
_LOSSY: Final = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")


def write_summary_captures(
    annotations: AnnotationSet,
    title: str,
    sources: SourceImages,
    context: ResultContext,
    *,
    stored: StoredFrame | None = None,
) -> tuple[Dataset, ...]:
    """Pictures of 512 × 512: the whole in words first, then each finding on the image that shows most of it.

    No name of the patient is drawn. What is said of nothing drawable (evaluations of a study, a finding without a
    place or in a matrix of tiles) stands in the words alone.

    Parameters
    ----------
    title : what the author is called, heading of the first page and Series Description
    context : its series number is that of the pictures, which are a series
    stored : gives pixels where the sources are no volume

    Raises
    ------
    ObjectInvalid : a finding lies on none of the images, or there is no way to their pixels
    """
    shown = [(marks, main_place(marks)) for one in annotations.findings if (marks := marks_of(one, sources))]
    pictures = [(marks, place, picture_of(place, sources, stored)) for marks, place in shown]
    drawn = [(marks, place, picture) for marks, place, picture in pictures if picture is not None]
    words = lines_that_fit(list(_summary_lines(annotations)))
    count = len(words) + len(drawn)
    pages = [text_page(_text(title, lines, annotations, number, count)) for number, lines in enumerate(words, start=1)]
    for number, (marks, place, picture) in enumerate(drawn, start=len(words) + 1):
        text = _text(marks[0].finding.label, _finding_lines(marks[0].finding), annotations, number, count)
        pages.append(_finding_page(text, marks, place, picture, sources))
    captures = tuple(_capture(page, number, sources, context) for number, page in enumerate(pages, start=1))
    series_uid = context.uid()
    for capture in captures:
        capture.SeriesInstanceUID = series_uid
        capture.SeriesDescription = series_description(title, annotations.author, found=bool(annotations.findings))
        if isinstance(annotations.author, PersonObserver):
            capture.OperatorsName = annotations.author.name
        describe_equipment(capture, annotations.author, context)
    return captures


def _summary_lines(annotations: AnnotationSet) -> Iterator[str]:
    """The reading in words: outcome, each finding with its numbers, answers and comments."""
    if annotations.summary:
        yield annotations.summary
    yield (
        f"{_OUTCOMES[annotations.stated_outcome]}: {len(annotations.findings)}"
        if annotations.findings
        else (_OUTCOMES[annotations.stated_outcome])
    )
    for finding in annotations.findings:
        yield ": ".join([finding.label, *filter(None, [", ".join(measured_words(finding.measurements))])])
    for answer in annotations.answers:
        yield answer_words(answer)
    if annotations.comment:
        yield annotations.comment


def _finding_lines(finding: Finding) -> tuple[str, ...]:
    """What is known of a finding, for the column beside its picture."""
    site = [one.meaning for one in (finding.laterality, finding.site) if one is not None]
    lines = [finding.type.meaning, *([", ".join(site)] if site else []), *measured_words(finding.measurements)]
    lines += [
        f"{one.name.meaning}: {one.value.meaning if isinstance(one.value, Code) else one.value}"
        for one in finding.evaluations
    ]
    if finding.confidence is not None:
        lines.append(f"Confidence {finding.confidence:.0%}")
    if finding.comment:
        lines.append(finding.comment)
    return tuple(lines)


def _text(heading: str, lines: Sequence[str], annotations: AnnotationSet, number: int, count: int) -> PageText:
    person = isinstance(annotations.author, PersonObserver)
    by = f"{'Read' if person else 'Made'} by {author_words(annotations.author)}"
    warning = NOT_FOR_DIAGNOSIS if is_demonstrator(annotations.author) else ""
    return PageText(
        heading,
        tuple(lines),
        (by, "A picture of the results; the objects themselves say more."),
        warning,
        number,
        count,
    )


def _finding_page(
    text: PageText, marks: Sequence[ImageMark], place: ImagePlace, picture: Picture, sources: SourceImages
) -> Picture:
    header = sources.header_of(place)
    image = f"Series {header.get('SeriesNumber') or '-'}, image {header.get('InstanceNumber') or '-'}"
    frame = f", frame {place.frames[0]}" if place.frames else ""
    foot = (text.foot[0], f"{sources.modality} {image}{frame}".strip())
    shapes = [mark.shape for mark in marks if mark.place == place]
    return finding_page(
        replace(text, foot=foot), picture, _aspect(header, place, sources), shapes, marks[0].finding.colour
    )


def _aspect(header: Dataset, place: ImagePlace, sources: SourceImages) -> float:
    """Height of a pixel to its width."""
    height, width = sources.spacing_mm(place) or header.get("PixelAspectRatio") or (1, 1)
    return float(height) / float(width) if float(width) > 0 and float(height) > 0 else 1.0


def _capture(page: Picture, number: int, sources: SourceImages, context: ResultContext) -> Dataset:
    """SC Equipment, General Image, Image Pixel and SC Image (PS3.3 C.8.6, C.7.6.1, C.7.6.3)."""
    source = sources.headers[0]
    capture = patient_and_study_of(source)
    capture.SOPClassUID = SecondaryCaptureImageStorage
    capture.StudyInstanceUID, capture.SOPInstanceUID = sources.study_uid, context.uid()
    capture.Modality, capture.ConversionType = "OT", "WSD"
    capture.SeriesNumber, capture.InstanceNumber = context.series_number_base, number
    capture.Laterality = source.get("Laterality")
    capture.ImageType = ["DERIVED", "SECONDARY"]
    capture.PatientOrientation = None
    capture.BurnedInAnnotation = "YES"
    for keyword in ("RecognizableVisualFeatures", *_LOSSY):
        if keyword in source:
            capture[keyword] = deepcopy(source[keyword])
    for keyword in ("Series", "Content", "InstanceCreation"):
        setattr(capture, f"{keyword}Date", context.date)
        setattr(capture, f"{keyword}Time", context.time)
    capture.DateOfSecondaryCapture, capture.TimeOfSecondaryCapture = context.date, context.time
    capture.SamplesPerPixel, capture.PhotometricInterpretation, capture.PlanarConfiguration = 3, "RGB", 0
    capture.Rows = capture.Columns = SIZE
    capture.BitsAllocated = capture.BitsStored = 8
    capture.HighBit, capture.PixelRepresentation = 7, 0
    capture.PixelData = np.ascontiguousarray(page, dtype=np.uint8).tobytes()
    capture["PixelData"].VR = "OB"
    capture.file_meta = FileMetaDataset()
    capture.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    capture.file_meta.MediaStorageSOPClassUID = capture.SOPClassUID
    capture.file_meta.MediaStorageSOPInstanceUID = capture.SOPInstanceUID
    return capture
