"""What shows results to others holds on real series: no rule broken, no Error of dciodvfy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.core.annotations import AnnotationSet
from service.core.findings import Mask
from service.objects.key_object import write_key_object
from service.objects.presentation_state import write_presentation_states
from service.objects.source_images import SourceImages
from service.objects.summary_capture import write_summary_captures
from service.objects.validation import validate
from tests.integration.test_objects_dciodvfy import errors_in
from tests.real.test_objects_real_series import SERIES, volume_in
from tests.volumes import ALGORITHM, organ
from tests.written_results import axial, context

pytestmark = [pytest.mark.real_data, pytest.mark.peer("dicom3tools"), pytest.mark.usefixtures("lenient")]


@pytest.mark.parametrize("name", ["PET", "tilted gantry", "enhanced MR"])
def test_bright_regions_of_a_real_series_are_shown_without_error(name: str, shared_data: Path, tmp_path: Path) -> None:
    place, modality = SERIES[name]
    volume = volume_in(shared_data / place, modality)
    middle = np.zeros(volume.shape, dtype=bool)
    chosen = slice(volume.shape[0] // 2, volume.shape[0] // 2 + 3)
    middle[chosen] = volume.array[chosen] > np.percentile(volume.array[chosen], 99)
    found = replace(organ(axial()), mask=Mask.cut_from(middle), shapes=(), measurements=())
    made, sources = AnnotationSet(ALGORITHM, (found,)), SourceImages.of_volume(volume)
    written = [
        write_key_object(made, sources, (), context()),
        *write_presentation_states([made], "Bright", sources, context()),
        *write_summary_captures(made, "Bright", sources, context()),
    ]
    for one in written:
        assert [str(problem) for problem in validate(one, sources=volume.sources) if problem.severity == "error"] == []
        assert errors_in(one, tmp_path) == []
