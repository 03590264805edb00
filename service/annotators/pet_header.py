"""SUVbw from a PET's header, as QIBA's vendor-neutral computation has it (the "happy path" of its SUV page).

SUVbw = activity concentration × body weight / injected dose, the dose decayed to the moment to which the image was
decay corrected (PS3.3 C.8.9.1). Whatever the computation needs and the header lacks is refused by name, never guessed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pydicom.dataset import Dataset

from service.core.image_slices import BECQUEREL_UNIT, SUV_UNIT, named
from service.core.volume import Volume
from service.errors import VolumeRefused

GRAMS_PER_KILOGRAM = 1000.0
# Doses are given in becquerels (PS3.3 C.8.9.2); a smaller number was meant in another unit.
LEAST_DOSE_BQ = 1e5
# An image acquired so many half-lives after injection shows nothing: a date in the header is wrong.
MOST_HALF_LIVES = 10.0

_MOMENT = re.compile(r"(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})?(\d{2})?(\.\d{1,6})?([+-]\d{4})?")


def suv_factor(volume: Volume) -> float:
    """What a voxel of the volume is multiplied by to become SUVbw in g/ml.

    Raises
    ------
    VolumeRefused : units that give no SUVbw, or an element that is missing; the message names it
    """
    if volume.unit == SUV_UNIT:
        return 1.0
    if volume.unit == "{counts}":
        raise VolumeRefused(
            f"{named('Units')} are counts: SUV needs a private factor of the scanner, which de-identification removes"
        )
    if volume.unit != BECQUEREL_UNIT:
        raise VolumeRefused(f"{named('Units')} are neither BQML nor GML of body weight: no SUVbw can be had from them")
    header = volume.sources[0]
    _require_corrections(header)
    weight = _positive(header, "PatientWeight")
    return weight * GRAMS_PER_KILOGRAM / _decayed_dose(header, volume.sources)


def _require_corrections(header: Dataset) -> None:
    value = header.get("CorrectedImage") or ()
    corrected = {value} if isinstance(value, str) else {str(one) for one in value}
    if "ATTN" not in corrected and header.get("AttenuationCorrected") != "YES":
        raise VolumeRefused(f"the image is not attenuation corrected: no ATTN in {named('CorrectedImage')}")
    if "DECY" not in corrected and header.get("DecayCorrected") != "YES":
        raise VolumeRefused(f"the image is not decay corrected: no DECY in {named('CorrectedImage')}")


def _decayed_dose(header: Dataset, sources: Sequence[Dataset]) -> float:
    """Injected dose in Bq at the moment to which the image is corrected."""
    items = header.get("RadiopharmaceuticalInformationSequence")
    if not items:
        raise VolumeRefused(f"{named('RadiopharmaceuticalInformationSequence')} is missing")
    if len(items) > 1:
        raise VolumeRefused(f"{named('RadiopharmaceuticalInformationSequence')} names several radiopharmaceuticals")
    drug = items[0]
    dose = _positive(drug, "RadionuclideTotalDose")
    if dose < LEAST_DOSE_BQ:
        raise VolumeRefused(f"{named('RadionuclideTotalDose')} is no plausible number of becquerels")
    correction = str(header.get("DecayCorrection") or ("START" if header.get("DecayCorrected") == "YES" else ""))
    if correction == "ADMIN":
        return dose
    if correction != "START":
        raise VolumeRefused(f"{named('DecayCorrection')} is neither START nor ADMIN")
    half_life = _positive(drug, "RadionuclideHalfLife")
    scan = _corrected_to(header, sources, half_life)
    elapsed = (scan - _injected(header, drug, scan)).total_seconds()
    if elapsed < 0:
        raise VolumeRefused(f"the injection is later than the scan: {named('RadiopharmaceuticalStartDateTime')}")
    if elapsed > MOST_HALF_LIVES * half_life:
        raise VolumeRefused("the injection lies more than ten half-lives before the scan: a date or time is wrong")
    return dose * math.exp2(-elapsed / half_life)


def _injected(header: Dataset, drug: Dataset, scan: datetime) -> datetime:
    """When the drug was given; a time without a date is on the day of the scan, or on the day before if later."""
    stated = _moment(drug.get("RadiopharmaceuticalStartDateTime"), header)
    if stated is not None:
        return stated
    time = drug.get("RadiopharmaceuticalStartTime")
    if not time:
        raise VolumeRefused(
            f"{named('RadiopharmaceuticalStartDateTime')} and {named('RadiopharmaceuticalStartTime')} are missing"
        )
    same_day = _moment(f"{scan:%Y%m%d}{_digits(time)}", header)
    if same_day is None:
        raise VolumeRefused(f"{named('RadiopharmaceuticalStartTime')} is not a time")
    return same_day if same_day <= scan else same_day - timedelta(days=1)


def _corrected_to(header: Dataset, sources: Sequence[Dataset], half_life: float) -> datetime:
    """The moment to which START corrects: the beginning of the scan.

    Series Date and Time say it unless they were rewritten by later processing; then it follows from a slice's
    acquisition time and its Frame Reference Time, which counts from the beginning (PS3.3 C.8.9.4).
    """
    stated = _moment(header.get("DecayCorrectionDateTime"), header)
    if stated is not None:
        return stated
    series = _moment(_joined(header, "SeriesDate", "SeriesTime"), header)
    acquired = [
        (moment, source)
        for source in sources
        if (moment := _moment(_joined(source, "AcquisitionDate", "AcquisitionTime"), source)) is not None
    ]
    if not acquired:
        raise VolumeRefused(f"{named('AcquisitionDate')} or {named('AcquisitionTime')} is missing")
    first, source = min(acquired, key=lambda pair: pair[0])
    if series is not None and series <= first:
        return series
    reference_ms, duration_ms = _number(source, "FrameReferenceTime"), _number(source, "ActualFrameDuration")
    if reference_ms is None or duration_ms is None or reference_ms <= 0:
        raise VolumeRefused(
            f"{named('SeriesTime')} is later than the acquisition, and {named('FrameReferenceTime')} is missing"
        )
    return first + timedelta(seconds=_average_count_time(duration_ms / 1000, half_life) - reference_ms / 1000)


def _average_count_time(duration_s: float, half_life_s: float) -> float:
    """When within a frame the count rate equals its average, in seconds from the frame's start."""
    decay = math.log(2) / half_life_s
    if decay * duration_s < 1e-6:
        return duration_s / 2
    return math.log(decay * duration_s / (1 - math.exp(-decay * duration_s))) / decay


def _number(holder: Dataset, keyword: str) -> float | None:
    try:
        value = float(str(holder.get(keyword)))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _positive(holder: Dataset, keyword: str) -> float:
    value = _number(holder, keyword)
    if value is None:
        hint = ": the profile must retain patient characteristics" if keyword == "PatientWeight" else ""
        raise VolumeRefused(f"{named(keyword)} is missing{hint}")
    if value <= 0:
        raise VolumeRefused(f"{named(keyword)} is not positive")
    return value


def _digits(time: Any) -> str:
    """A time as DICOM writes it; old scanners put colons in (PS3.5 6.2)."""
    return str(time).strip().replace(":", "")


def _joined(holder: Dataset, date: str, time: str) -> str | None:
    if not holder.get(date) or not holder.get(time):
        return None
    return str(holder.get(date)).strip().replace(".", "") + _digits(holder.get(time))


def _moment(text: Any, holder: Dataset) -> datetime | None:
    """A DT, or a DA and TM written together; an offset counts where the data set has its own to compare with."""
    found = _MOMENT.fullmatch(str(text or "").strip())
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    try:
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute or 0), min(int(second or 0), 59))
    except ValueError:
        return None
    moment += timedelta(seconds=float(fraction or 0))
    own = str(holder.get("TimezoneOffsetFromUTC") or "")
    if offset and re.fullmatch(r"[+-]\d{4}", own):
        moment += _offset(own) - _offset(offset)
    return moment


def _offset(text: str) -> timedelta:
    minutes = int(text[1:3]) * 60 + int(text[3:5])
    return timedelta(minutes=-minutes if text[0] == "-" else minutes)
