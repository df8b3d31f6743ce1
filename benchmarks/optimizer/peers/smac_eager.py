"""SMAC that learns from every value at once: no further evaluation is made with old knowledge.

It costs several times the CPU time of the facade's default.
"""

from peers.smac import SMAC


class EagerSMAC(SMAC):
    """The facade with `retrain_after=1`."""

    retrain_after = 1
