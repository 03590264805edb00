"""The ICC profile that a rendered image carries (PS3.18 8.3.5.1.5)."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

from PIL import Image, ImageCms
from pydicom.dataset import Dataset

from service.errors import NotAcceptable
from service.web.dicomweb.rgb_profile import ADOBE_RGB, ROMM_RGB, profile_bytes

_RGB: Final = "RGB "


def profile_of(*headers: Dataset) -> bytes | None:
    """The first profile that one of the headers brings along, or its first optical path (PS3.3 C.11.15)."""
    for header in headers:
        paths = header.get("OpticalPathSequence") or ()
        for item in (header, *paths[:1]):
            value = item.get("ICCProfile")
            if isinstance(value, bytes) and value:
                return value
    return None


def with_profile(image: Image.Image, wanted: str, own: bytes | None) -> tuple[Image.Image, bytes]:
    """The image in colours, and the profile to embed.

    Parameters
    ----------
    wanted : "yes" for its own, sRGB where it has none; or the name of a space that its colours are turned into
    own : the profile of the image; its colours are sRGB where it has none

    Raises
    ------
    NotAcceptable : the image's own profile cannot be read
    """
    colours = image.convert("RGB")
    held = own or _srgb()
    target = held if wanted == "yes" else _SPACES[wanted]()
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(held))
        if source.profile.xcolor_space != _RGB:
            raise NotAcceptable("The colour profile of this image is not one of RGB; ask for iccprofile=no")
        if target == held:
            return colours, held
        turned = ImageCms.profileToProfile(
            colours, source, ImageCms.ImageCmsProfile(io.BytesIO(target)), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, TypeError) as error:
        raise NotAcceptable("The colour profile of this image cannot be read; ask for iccprofile=no") from error
    return turned or colours, target


@cache
def _srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


_SPACES: Final[Mapping[str, Callable[[], bytes]]] = {
    "srgb": _srgb,
    "adobergb": lambda: profile_bytes(ADOBE_RGB),
    "rommrgb": lambda: profile_bytes(ROMM_RGB),
}
