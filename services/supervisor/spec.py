"""What is to run, and what its end means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ProcessSpec:
    """One process of the plan."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the supervisor's own."""
    ends_all: bool = False
    """A face: when it ends with code 0, or is dead for good, everything stops."""
    essential: bool = False
    """Nothing works without it: when it is dead for good, everything stops."""
    after: tuple[str, ...] = ()
    """Started once these are ready (they draw the window first), or after ``after_s`` in any case."""
    after_s: float = 0.0
    stop_last: bool = False
    """Stopped when all others have ended."""
