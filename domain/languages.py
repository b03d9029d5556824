"""The languages in which a face shows its words and a voice speaks."""

from __future__ import annotations

from typing import Literal

#: Not among the values, which need pydantic: the command line's help is to come at once.
Language = Literal["en", "zh"]
