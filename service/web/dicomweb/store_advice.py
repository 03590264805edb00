"""What whoever stored can do about a failure, beside its Failure Reason (0008,1197)."""

from __future__ import annotations

from typing import Final

_IN_QUARANTINE: Final = "a person decides on it in quarantine, nothing has to be sent again"
ADVICE: Final = {
    0x0110: "send it again later; the gateway's log says what failed",
    0x0122: "ask whoever runs the gateway whether it may take this SOP class",
    0xA700: "send it again later, or less at a time",
    0xA900: "correct its SOP Class UID (0008,0016) and send it again",
    0xC001: "correct it and send it again",
    0xC002: _IN_QUARANTINE,
    0xC003: "send it under a SOP Instance UID of its own, or have a person decide in quarantine",
    0xC004: "send it under the Study Instance UID of its own patient",
    0xC005: "send it to the address of its own study, or to /studies",
    0xC006: _IN_QUARANTINE,
    0xC007: "send the rest of its series; this one has not to be sent again",
    0xC008: _IN_QUARANTINE,
    0xC009: _IN_QUARANTINE,
    0xC010: "have it restored from the trash, or send it under a UID of its own",
    0xC011: "correct it, or send first what it refers to, and send it again",
    0xC122: "send it in a transfer syntax that is taken",
}
_LONGEST_ID: Final = 64


def advised(reason: str, code: int, quarantine_id: str = "") -> str:
    """The reason, where the object is kept, and what to do.

    Parameters
    ----------
    quarantine_id : under which it is held; "" where it is not
    """
    advice = ADVICE.get(code, "")
    held = f"held in quarantine as {quarantine_id[:_LONGEST_ID]}" if quarantine_id else ""
    return ": ".join(filter(None, (reason.rstrip(".:"), "; ".join(filter(None, (held, advice))))))
