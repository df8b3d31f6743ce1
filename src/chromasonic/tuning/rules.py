"""Rules for single trials: time limits, out of memory, determinism."""

from dataclasses import dataclass

OUT_OF_MEMORY_RULES = ("fail", "retry")


@dataclass(frozen=True)
class TrialRules:
    """Rules for the trials of one run; another run of the study may have others.

    Attributes:
        deterministic: True if proposals must not depend on which trial was faster: with n slots
            trial k then learns from trials up to k - n alone.
        trial_timeout_s: Seconds a trial may take; None for no limit.
        stall_timeout_s: Seconds a trial may go without the end of an epoch; None for no limit.
        on_oom: `fail`, or `retry` to try a trial that ran out of memory once more, with
            `trial.out_of_memory_before` set.
    """

    deterministic: bool = True
    trial_timeout_s: float | None = None
    stall_timeout_s: float | None = None
    on_oom: str = "fail"

    def __post_init__(self) -> None:
        for name in ("trial_timeout_s", "stall_timeout_s"):
            seconds = getattr(self, name)
            if seconds is not None and not seconds > 0:
                option = name.removesuffix("_s")
                raise ValueError(f"{option} must be more than 0 seconds, but got {seconds!r}.")
        if self.on_oom not in OUT_OF_MEMORY_RULES:
            raise ValueError(f"on_oom must be 'fail' or 'retry', but got {self.on_oom!r}.")

    def exceeded_limit(self, since_start_s: float, since_epoch_s: float) -> str:
        """The time limit that a trial has exceeded, in words; empty if none.

        Args:
            since_start_s: Seconds since it began.
            since_epoch_s: Seconds since its last epoch ended, or since it began.
        """
        if self.trial_timeout_s is not None and since_start_s >= self.trial_timeout_s:
            return f"took more than {self.trial_timeout_s:g} s"
        if self.stall_timeout_s is not None and since_epoch_s >= self.stall_timeout_s:
            return f"no epoch ended for {self.stall_timeout_s:g} s"
        return ""
