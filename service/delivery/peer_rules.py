"""What the settings say of a peer, and how patient its courier is."""

from __future__ import annotations

from dataclasses import dataclass

from service.core.deliveries import AS_EVER, SentKind

DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long and how often, in seconds.

    Parameters
    ----------
    first_pause_s, longest_pause_s : after a failure; each pause is twice the one before, up to the longest
    give_up_s : of trying, from when a delivery was queued
    batch : deliveries over one association
    """

    first_pause_s: float = 30.0
    longest_pause_s: float = 3600.0
    give_up_s: float = 14 * DAY_S
    lease_s: float = 300.0
    sweep_s: float = 30.0
    batch: int = 50

    def pause_s(self, failures: int) -> float:
        """How long to wait after so many failures in a row."""
        return float(min(self.first_pause_s * 2 ** min(failures - 1, 30), self.longest_pause_s))


@dataclass(frozen=True, slots=True)
class PeerRules:
    """What the settings say of a peer.

    Parameters
    ----------
    segmentation : "auto", "binary" or "label-map"
    objects : what it gets of each result
    instead : what it gets, the first that it takes, where it does not take the segmentation or the report
    """

    name: str
    check_identity: bool = True
    segmentation: str = "auto"
    objects: tuple[SentKind, ...] = AS_EVER
    instead: tuple[SentKind, ...] = ()
