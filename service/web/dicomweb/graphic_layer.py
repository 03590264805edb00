"""The layers of a presentation state (PS3.3 C.10.7): in which order they lie over the image, and in which ink."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from service.web.dicomweb.cielab import rgb_of

Ink = int | tuple[int, int, int]

_LARGEST: Final = 65535
_WHITE: Final = 255


@dataclass(frozen=True, slots=True)
class GraphicLayer:
    """One layer.

    Parameters
    ----------
    order : lower ones lie below
    grey : recommended for what is drawn in it, 0 to 255; None where nothing is
    colour : likewise, in sRGB
    """

    order: int = 0
    grey: int | None = None
    colour: tuple[int, int, int] | None = None

    def ink(self, mode: str) -> Ink:
        """What is drawn with on an image of Pillow's mode L or RGB; white where nothing is recommended."""
        if mode == "L":
            return self.grey if self.grey is not None else max(self.colour or (_WHITE,))
        grey = _WHITE if self.grey is None else self.grey
        return self.colour or (grey, grey, grey)


def layers_of(state: Dataset) -> dict[str, GraphicLayer]:
    """The layers by their names."""
    return {str(item.get("GraphicLayer", "")): _layer(item) for item in state.get("GraphicLayerSequence") or ()}


def _layer(item: Dataset) -> GraphicLayer:
    grey = item.get("GraphicLayerRecommendedDisplayGrayscaleValue")
    colour = item.get("GraphicLayerRecommendedDisplayCIELabValue")
    return GraphicLayer(
        int(item.get("GraphicLayerOrder") or 0),
        round(int(grey) * 255 / _LARGEST) if grey is not None else None,
        rgb_of(colour) if colour else None,
    )
