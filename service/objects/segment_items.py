"""Items of Segment Sequence (PS3.3 C.8.20.2, C.8.20.4): what a segment is called, what it is, who made it."""

from __future__ import annotations

from pydicom.dataset import Dataset

from service.core.findings import AlgorithmIdentification, Finding
from service.objects.content_items import code_item
from service.objects.display_colour import cielab_of
from service.objects.tracking import tracking_identifier

_LONGEST_PARAMETERS = 10240


def segment_item(finding: Finding, algorithm: AlgorithmIdentification) -> Dataset:
    """How a finding is described as a segment; its number is set by whoever numbers them."""
    item = Dataset()
    item.SegmentLabel = finding.label[:64]
    item.SegmentedPropertyCategoryCodeSequence = [code_item(finding.category)]
    item.SegmentedPropertyTypeCodeSequence = [code_item(finding.type)]
    if finding.site is not None:
        item.AnatomicRegionSequence = [code_item(finding.site)]
    if finding.laterality is not None:
        side = [code_item(finding.laterality)]
        if finding.site is None:
            item.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = side
        else:
            item.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = side
    item.SegmentAlgorithmType = "AUTOMATIC"
    item.SegmentAlgorithmName = algorithm.name[:64]
    item.SegmentationAlgorithmIdentificationSequence = [_identification(algorithm)]
    item.TrackingID = tracking_identifier(finding)
    item.TrackingUID = finding.tracking_uid
    item.RecommendedDisplayCIELabValue = cielab_of(finding.colour)
    return item


def _identification(algorithm: AlgorithmIdentification) -> Dataset:
    """An item of the Algorithm Identification macro (PS3.3 10.16)."""
    item = Dataset()
    item.AlgorithmFamilyCodeSequence = [code_item(algorithm.family)]
    item.AlgorithmName = algorithm.name[:64]
    item.AlgorithmVersion = algorithm.version[:64]
    item.AlgorithmSource = algorithm.manufacturer[:64]
    if algorithm.parameters:
        told = ",".join(f"{name}={value}" for name, value in algorithm.parameters.items())
        item.AlgorithmParameters = told[:_LONGEST_PARAMETERS]
    return item
