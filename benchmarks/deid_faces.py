"""What the removal of faces costs and leaves: ``python -m benchmarks.deid_faces [SEEDS]``.

Heads are generated (`tests/head_phantom.py`): CT and MR, in three planes, in voxels of 1.5 to 5 mm. Told is how like
the surface that is left is to the one that was (0 to 1; above 0.35 a person is asked), what is left of the ears, what
was touched of the brain, and processor time.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from service.deident.faces.face_mask import find_face
from tests.head_phantom import head_phantom

SPACINGS = ((1.5, 1.5, 1.5), (3.0, 2.0, 2.0), (5.0, 1.5, 1.5))


def main(seeds: int) -> None:
    """Print a line for each modality, plane and spacing."""
    print("modality plane    spacing mm      likeness    ears left   brain touched   CPU s")
    for modality in ("CT", "MR"):
        for plane in ("axial", "sagittal", "coronal"):
            for spacing in SPACINGS:
                told = [_measured(seed, modality, spacing, plane) for seed in range(seeds)]
                likeness, ears, brain, seconds = (max(column) for column in zip(*told, strict=True))
                print(
                    f"{modality:<8} {plane:<8} {' × '.join(map(str, spacing)):<15} {likeness:8.2f} {ears:12.2%}"
                    f" {brain:15.3%} {seconds:7.1f}",
                    flush=True,
                )


def _measured(
    seed: int, modality: str, spacing: tuple[float, float, float], plane: str
) -> tuple[float, float, float, float]:
    head = head_phantom(seed, modality, spacing, plane)
    start = time.process_time()
    face = find_face(head.volume)
    mask = np.stack(list(face.slices(head.volume)))
    seconds = time.process_time() - start
    ears_left = float((head.ears & ~mask).sum() / head.ears.sum())
    return face.likeness, ears_left, float((head.brain & mask).sum() / head.brain.sum()), seconds


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
