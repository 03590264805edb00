"""Faces are taken out of heads, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from service.core.volume import Volume
from service.deident.faces.face_mask import FaceMask, find_face
from service.deident.faces.head_surface import find_head, front_of
from service.errors import VolumeRefused
from tests.head_phantom import HeadPhantom, head_phantom

CASES = [
    ("CT", "axial", (3.0, 2.0, 2.0)),
    ("CT", "coronal", (4.0, 2.5, 2.5)),
    ("MR", "sagittal", (3.0, 2.0, 2.0)),
    ("MR", "axial", (5.0, 1.5, 1.5)),
]


@pytest.fixture(scope="module", params=list(enumerate(CASES)), ids=[f"{m} {p}" for m, p, _ in CASES])
def defaced(request) -> tuple[HeadPhantom, FaceMask, np.ndarray]:
    seed, (modality, plane, spacing) = request.param
    head = head_phantom(seed, modality, spacing, plane)
    face = find_face(head.volume)
    return head, face, np.stack(list(face.slices(head.volume)))


def test_brain_keeps_its_voxels(defaced):
    head, _, mask = defaced
    assert (mask & head.brain).sum() <= 0.001 * head.brain.sum()


def test_ears_go(defaced):
    head, _, mask = defaced
    assert (mask & head.ears).sum() >= 0.98 * head.ears.sum()


def test_nose_and_chin_go(defaced):
    head, _, mask = defaced
    volume = head.volume
    for point in ((0, -104, -18), (0, -80, -88)):
        slice_, row, column = np.rint(volume.to_index(point)).astype(int)
        assert mask[slice_, row, column]


def test_second_look_knows_nobody(defaced):
    _, face, _ = defaced
    assert face.hides_face
    assert face.likeness < 0.25


def test_a_mask_that_only_shaves_the_skin_is_noticed():
    """The second look must be able to fail: the same face one cell deeper is still that face."""
    from service.deident.faces import face_mask

    head = head_phantom(7, "CT")
    face = find_face(head.volume)
    values = face.grid.sample(head.volume, -1000.0)
    solid = find_head(values, head.volume.unit)
    front = front_of(solid)
    shaved = solid & (np.arange(solid.shape[1])[None, :, None] > np.where(np.isfinite(front), front, 0)[:, None, :] + 1)
    band = face_mask._band(front, face_mask.FACE_BAND_MM)
    assert face_mask._likeness(front, front_of(shaved), band) > face_mask.KEPT_LIKENESS


def test_whole_body_loses_its_face_only():
    head = head_phantom(3, "CT", (4.0, 3.0, 3.0))
    below = np.full((75, *head.volume.array.shape[1:]), -1000.0, dtype=np.float32)
    below[:, 15:-10, 6:-6] = 30.0  # a trunk, 300 mm long
    affine = head.volume.affine.copy()
    affine[2, 3] -= 75 * 4.0
    array = np.concatenate([below, head.volume.array])
    volume = Volume(array, affine, (), (1,) * len(array), "CT", "[hnsf'U]", "1.2.3", "1.2.3.4", "1.2.3.5")
    mask = np.stack(list(find_face(volume).slices(volume)))
    assert not mask[:55].any()
    assert mask[75:].any()


@pytest.mark.parametrize("value", [-1000.0, 40.0])
def test_a_series_without_a_head_is_refused_in_words(value):
    array = np.full((20, 30, 30), -1000.0, dtype=np.float32)
    array[5:10, 10:20, 10:20] = value
    volume = Volume(array, np.diag([3.0, 2.0, 2.0, 1.0])[[2, 1, 0, 3]], (), (1,) * 20, "CT", "[hnsf'U]", "1", "1", "1")
    with pytest.raises(VolumeRefused, match="head's size"):
        find_face(volume)
