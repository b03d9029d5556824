"""What Histovox says, one module a language. The keys are the same in each; a test keeps both complete."""

from __future__ import annotations

from collections.abc import Mapping

from domain.catalogues import en, zh

#: A message, or its forms by number: ``one`` and ``other`` (as in gettext; Chinese needs ``other`` alone).
Message = str | Mapping[str, str]

CATALOGUES: Mapping[str, Mapping[str, Message]] = {"en": en.MESSAGES, "zh": zh.MESSAGES}

__all__ = ["CATALOGUES", "Message"]
