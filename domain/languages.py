"""The languages that Histovox shows and speaks."""

from typing import Literal

Language = Literal["en", "zh"]
