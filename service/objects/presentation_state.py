"""Findings as a softcopy presentation state, for what a PACS without reports can show (PS3.3 A.33.1, A.33.2)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ColorSoftcopyPresentationStateStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
)

from service.core.annotations import AnnotationSet, PersonObserver
from service.core.findings import AlgorithmIdentification
from service.core.geometry import ImagePlace, ShapeKind
from service.errors import ObjectInvalid
from service.objects.code_strings import code_string
from service.objects.content_items import image_reference
from service.objects.display_colour import cielab_of
from service.objects.display_items import (
    colour_profile,
    displayed_area,
    in_tiles,
    is_colour,
    modality_transformation,
    size_of,
    voi_transformation,
)
from service.objects.equipment import describe_equipment, series_description
from service.objects.finding_words import answer_words, author_words, line_of
from service.objects.graphic_items import banner, graphics_of, label_place, name_texts, text_at
from service.objects.identity_attributes import patient_and_study_of
from service.objects.image_marks import ImageMark, main_place, marks_of
from service.objects.observer_context import is_demonstrator
from service.objects.result_context import NOT_FOR_DIAGNOSIS, ResultContext
from service.objects.source_images import SourceImages

_WHITE: Final = 65535
_NOT_COLOURED: Final = (255, 160, 0)
_PROJECTED: Final = " (projected)"


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """What one author shows on one image or frame; ``layer`` is the name of that author's graphic layer."""

    place: ImagePlace
    layer: str
    graphics: tuple[Dataset, ...]
    texts: tuple[Dataset, ...]


def write_presentation_states(
    readings: Sequence[AnnotationSet], title: str, sources: SourceImages, context: ResultContext
) -> tuple[Dataset, ...]:
    """What authors drew and measured on the images of one series, a graphic layer for each author.

    One state, of colour images a color one; more where images must be transformed differently, since a state has one
    modality transformation (PET with a slope of its own for each slice). It refers only to images that something is
    shown on, and shows them with their own first window. Nothing at all where nothing is marked on an image.

    Parameters
    ----------
    title : what the result is called in Series Description
    context : its series number is that of the states, which share a series

    Raises
    ------
    ObjectInvalid : there is no reading, or something is drawn that lies on none of the images
    """
    if not readings:
        raise ObjectInvalid("a presentation state shows what somebody marked; hand over a reading at least")
    layers = _layer_names(readings)
    shown = [one for reading, layer in zip(readings, layers, strict=True) for one in _shown(reading, layer, sources)]
    series_uid = context.uid() if shown else ""
    states = []
    for number, group in enumerate(_displayed_alike(shown, sources), start=1):
        state = _state(group, readings, layers, sources)
        _describe(state, readings, title, context)
        state.SeriesInstanceUID, state.InstanceNumber = series_uid, number
        states.append(state)
    return tuple(states)


def _layer_names(readings: Sequence[AnnotationSet]) -> list[str]:
    """A name for each reading's layer, each once."""
    names: list[str] = []
    for number, reading in enumerate(readings, start=1):
        name = code_string(author_words(reading.author), "AUTHOR")
        names.append(name if name not in names else f"{name[:12]}_{number}")
    return names


def _shown(reading: AnnotationSet, layer: str, sources: SourceImages) -> Iterator[_Shown]:
    marks: dict[ImagePlace, list[ImageMark]] = defaultdict(list)
    mains: dict[int, ImagePlace] = {}
    for finding in reading.findings:
        of_finding = marks_of(finding, sources)
        for mark in of_finding:
            marks[mark.place].append(mark)
        if of_finding:
            mains[id(finding)] = main_place(of_finding)
    answers: dict[ImagePlace, list[str]] = defaultdict(list)
    for answer in reading.answers:
        if isinstance(answer.target, ImagePlace):
            sources.header_of(answer.target)
            for frame in answer.target.frames or (None,):
                answers[_frame_of(answer.target, frame)].append(answer_words(answer))
    warning = [NOT_FOR_DIAGNOSIS] if is_demonstrator(reading.author) else []
    for place in dict.fromkeys([*marks, *answers]):
        here = _by_finding(marks[place])
        lines = [*warning, *_whole_image_lines(here, mains, place), *answers[place]]
        texts = [banner(lines)] if lines else []
        header = sources.header_of(place)
        texts += _labels(here, mains, place, header)
        tiles = in_tiles(header, place)
        graphics = [item for mark in marks[place] for item in graphics_of(mark, in_tiles=tiles)]
        yield _Shown(place, layer, tuple(graphics), tuple(texts))


def _frame_of(place: ImagePlace, frame: int | None) -> ImagePlace:
    return ImagePlace(place.sop_class_uid, place.sop_instance_uid, () if frame is None else (frame,))


def _by_finding(marks: Iterable[ImageMark]) -> list[list[ImageMark]]:
    found: dict[int, list[ImageMark]] = defaultdict(list)
    for mark in marks:
        found[id(mark.finding)].append(mark)
    return list(found.values())


def _whole_image_lines(
    findings: Iterable[list[ImageMark]], mains: dict[int, ImagePlace], place: ImagePlace
) -> list[str]:
    return [
        _words(marks, mains, place) for marks in findings if all(mark.shape.kind is ShapeKind.FRAMES for mark in marks)
    ]


def _labels(
    findings: Iterable[list[ImageMark]], mains: dict[int, ImagePlace], place: ImagePlace, header: Dataset
) -> list[Dataset]:
    """The label of each finding beside what is drawn of it, and the names of its keypoints."""
    size, tiles = size_of(header, place), in_tiles(header, place)
    texts = []
    for marks in findings:
        if any(mark.shape.points for mark in marks):
            texts.append(text_at(_words(marks, mains, place), label_place(marks), size, in_tiles=tiles))
        for mark in marks:
            texts += name_texts(mark, size, in_tiles=tiles)
    return texts


def _words(marks: Sequence[ImageMark], mains: dict[int, ImagePlace], place: ImagePlace) -> str:
    """What was measured here; where most of the finding is, also what was not drawn."""
    finding = marks[0].finding
    measured = [one for mark in marks for one in mark.measurements]
    if mains[id(finding)] == place:
        measured += [one for one in finding.measurements if one.shape is None]
    return line_of(finding, measured) + (_PROJECTED if any(mark.projected for mark in marks) else "")


def _displayed_alike(shown: Iterable[_Shown], sources: SourceImages) -> list[list[_Shown]]:
    """What one state can show: images of one kind, with one modality transformation."""
    groups: list[tuple[tuple[bool, bool], Dataset, list[_Shown]]] = []
    for one in shown:
        header = sources.header_of(one.place)
        kind = is_colour(header), header.get("PhotometricInterpretation") == "MONOCHROME1"
        modality = Dataset() if kind[0] else modality_transformation(header, one.place)
        for known, transformation, group in groups:
            if known == kind and transformation == modality:
                group.append(one)
                break
        else:
            groups.append((kind, modality, [one]))
    return [group for _, _, group in groups]


def _state(
    shown: Sequence[_Shown], readings: Sequence[AnnotationSet], layers: Sequence[str], sources: SourceImages
) -> Dataset:
    """Relationship, displayed area, transformations, graphics and layers."""
    places = list(dict.fromkeys(one.place for one in shown))
    header = sources.header_of(places[0])
    state = patient_and_study_of(header)
    state.StudyInstanceUID = sources.study_uid
    state.Laterality = header.get("Laterality")
    series = Dataset()
    series.SeriesInstanceUID = sources.series_uid
    series.ReferencedImageSequence = _references(places)
    state.ReferencedSeriesSequence = [series]
    state.DisplayedAreaSelectionSequence = _for_places(
        [(place, displayed_area(sources.header_of(place), place, sources)) for place in places]
    )
    if is_colour(header):
        state.SOPClassUID = ColorSoftcopyPresentationStateStorage
        state.ICCProfile = colour_profile(header)
    else:
        state.SOPClassUID = GrayscaleSoftcopyPresentationStateStorage
        state.update(modality_transformation(header, places[0]))
        voi = [(place, voi_transformation(sources.header_of(place), place)) for place in places]
        if any(len(item) for _, item in voi):
            state.SoftcopyVOILUTSequence = _for_places([(place, item) for place, item in voi if len(item)])
        inverse = header.get("PhotometricInterpretation") == "MONOCHROME1"
        state.PresentationLUTShape = "INVERSE" if inverse else "IDENTITY"
    state.GraphicAnnotationSequence = [_annotation(one) for one in shown]
    used = {one.layer for one in shown}
    pairs = [(reading, layer) for reading, layer in zip(readings, layers, strict=True) if layer in used]
    state.GraphicLayerSequence = [_layer(*pair, order) for order, pair in enumerate(pairs, start=1)]
    return state


def _references(places: Iterable[ImagePlace]) -> list[Dataset]:
    """Each image once, with the frames that are meant, or none where it is the whole of it."""
    frames: dict[tuple[str, str], list[tuple[int, ...]]] = defaultdict(list)
    for place in places:
        frames[place.sop_class_uid, place.sop_instance_uid].append(place.frames)
    items = []
    for image, numbers in frames.items():
        item = image_reference(*image)
        if all(numbers):
            item.ReferencedFrameNumber = sorted({number for one in numbers for number in one})
        items.append(item)
    return items


def _for_places(pairs: Sequence[tuple[ImagePlace, Dataset]]) -> list[Dataset]:
    """Items that say the same once, each with the images that it is for."""
    different: list[tuple[Dataset, list[ImagePlace]]] = []
    for place, item in pairs:
        for known, places in different:
            if known == item:
                places.append(place)
                break
        else:
            different.append((item, [place]))
    items = []
    for item, places in different:
        told = Dataset()
        told.update(item)
        told.ReferencedImageSequence = _references(places)
        items.append(told)
    return items


def _annotation(shown: _Shown) -> Dataset:
    item = Dataset()
    item.ReferencedImageSequence = _references([shown.place])
    item.GraphicLayer = shown.layer
    if shown.texts:
        item.TextObjectSequence = list(shown.texts)
    if shown.graphics:
        item.GraphicObjectSequence = list(shown.graphics)
    return item


def _layer(reading: AnnotationSet, name: str, order: int) -> Dataset:
    item = Dataset()
    item.GraphicLayer = name
    item.GraphicLayerOrder = order
    item.GraphicLayerRecommendedDisplayGrayscaleValue = _WHITE
    colours = {finding.colour for finding in reading.findings}
    item.GraphicLayerRecommendedDisplayCIELabValue = cielab_of(colours.pop() if len(colours) == 1 else _NOT_COLOURED)
    item.GraphicLayerDescription = author_words(reading.author).replace("\\", "/")[:64]
    return item


def _describe(state: Dataset, readings: Sequence[AnnotationSet], title: str, context: ResultContext) -> None:
    """Presentation Series, Presentation State Identification, equipment and SOP Common (PS3.3 C.11.9, C.11.10)."""
    state.SOPInstanceUID = context.uid()
    state.Modality = "PR"
    state.SeriesNumber = context.series_number_base
    program = next((one.author for one in readings if isinstance(one.author, AlgorithmIdentification)), None)
    author = program or readings[0].author
    state.SeriesDescription = state.ContentDescription = series_description(title, author)
    state.ContentLabel = code_string(title, "ANNOTATIONS")
    if len(readings) == 1 and isinstance(author, PersonObserver):
        state.ContentCreatorName = author.name
    state.PresentationCreationDate = state.SeriesDate = state.InstanceCreationDate = context.date
    state.PresentationCreationTime = state.SeriesTime = state.InstanceCreationTime = context.time
    describe_equipment(state, author, context)
    state.file_meta = FileMetaDataset()
    state.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    state.file_meta.MediaStorageSOPClassUID = state.SOPClassUID
    state.file_meta.MediaStorageSOPInstanceUID = state.SOPInstanceUID
