"""A measured figure with its spread."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """Repeated measurements of one thing, in ``unit``."""

    values: tuple[float, ...]
    unit: str = ""

    @classmethod
    def of(cls, values: Sequence[float], unit: str = "") -> Measurement:
        """A figure of at least one measurement."""
        if not values:
            raise ValueError("a figure needs at least one measurement")
        return cls(tuple(values), unit)

    @property
    def median(self) -> float:
        """The value that half of the measurements exceed."""
        return statistics.median(self.values)

    @property
    def middle_half(self) -> tuple[float, float]:
        """The first and third quartile; the extremes of fewer than four measurements."""
        if len(self.values) < 4:
            return min(self.values), max(self.values)
        low, _, high = statistics.quantiles(self.values, n=4, method="inclusive")
        return low, high

    def __str__(self) -> str:
        low, high = self.middle_half
        unit = f" {self.unit}" if self.unit else ""
        return f"{_short(self.median)}{unit} ({_short(low)} to {_short(high)}, n = {len(self.values)})"


def _short(value: float) -> str:
    """Three significant digits, without an exponent."""
    size = abs(value)
    decimals = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{decimals}f}"
