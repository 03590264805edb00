"""The two networks that find and read text: PP-OCR's, as ONNX files in the wheel of ``rapidocr``.

Only the files are used, never the package's code, so nothing is configured, logged or downloaded. Loading them takes
some 100 MB, a tile of 1024 × 1024 pixels some 300 MB more while it is looked at.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from service.errors import SettingsInvalid

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Picture = npt.NDArray[np.uint8]
"""Shape (rows, columns, 3), red, green, blue."""

_DETECTION: Final = "*_det_*.onnx"
_RECOGNITION: Final = "*_rec_*.onnx"
_STEP: Final = 32
_LINE_HEIGHT: Final = 48
_LONGEST_LINE: Final = 1600


class TextModel:
    """Finds where text stands in a picture, and reads one line of it.

    Parameters
    ----------
    detection, recognition : the ONNX files
    threads : how many cores one look may use
    """

    def __init__(self, detection: Path, recognition: Path, threads: int = 1) -> None:
        self._detection = _session(detection, threads)
        self._recognition = _session(recognition, threads)
        listed = self._recognition.get_modelmeta().custom_metadata_map["character"].splitlines()
        self._characters = ["", *listed, " "]

    def text_map(self, picture: Picture) -> npt.NDArray[np.float32]:
        """How likely each pixel lies in the core of a line of text, 0 to 1, shape (rows, columns)."""
        rows, columns = picture.shape[:2]
        padded = np.zeros((_ceil(rows), _ceil(columns), 3), dtype=np.uint8)
        padded[:rows, :columns] = picture
        return np.asarray(_run(self._detection, padded)[0, :rows, :columns])

    def read_line(self, picture: Picture) -> tuple[str, float]:
        """What a horizontal line reads, and how sure that is, 0 to 1."""
        import cv2

        rows, columns = picture.shape[:2]
        width = min(max(round(_LINE_HEIGHT * columns / rows), 16), _LONGEST_LINE)
        shrinks = rows > _LINE_HEIGHT
        line = cv2.resize(picture, (width, _LINE_HEIGHT), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        padded = np.full((_LINE_HEIGHT, _ceil(width), 3), 127, dtype=np.uint8)
        padded[:, :width] = line
        return self._decoded(_run(self._recognition, padded))

    def _decoded(self, likelihoods: npt.NDArray[np.float32]) -> tuple[str, float]:
        """Join what repeats and drop what is blank (connectionist temporal classification)."""
        best = likelihoods.argmax(axis=1)
        kept = (best != 0) & np.concatenate([[True], best[1:] != best[:-1]])
        if not kept.any():
            return "", 0.0
        text = "".join(self._characters[index] for index in best[kept])
        return text, float(likelihoods.max(axis=1)[kept].mean())


def load_text_model(threads: int = 1) -> TextModel:
    """The networks as installed.

    Raises
    ------
    SettingsInvalid : rapidocr or onnxruntime is not installed, or brings other files
    """
    spec = importlib.util.find_spec("rapidocr")
    if spec is None or not spec.submodule_search_locations or importlib.util.find_spec("onnxruntime") is None:
        raise SettingsInvalid("text in pixels cannot be looked for: rapidocr and onnxruntime are not installed")
    models = Path(spec.submodule_search_locations[0]) / "models"
    found = [sorted(models.glob(pattern)) for pattern in (_DETECTION, _RECOGNITION)]
    if not all(found):
        raise SettingsInvalid("text in pixels cannot be looked for: rapidocr brings no models of the kind known here")
    return TextModel(found[0][0], found[1][0], threads)


def _session(model: Path, threads: int) -> InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Without the arena memory goes back after each tile; the process must not keep the peak of its largest image.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def _run(session: InferenceSession, picture: Picture) -> npt.NDArray[np.float32]:
    # Trained on blue, green, red.
    values = picture[:, :, ::-1].astype(np.float32) / 127.5 - 1.0
    batch = np.ascontiguousarray(values.transpose(2, 0, 1)[None])
    output: Any = session.run(None, {session.get_inputs()[0].name: batch})[0]
    first: npt.NDArray[np.float32] = output[0]
    return first


def _ceil(length: int) -> int:
    return -(-length // _STEP) * _STEP
