"""The models at hand: the default one always, others when they are asked for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

from domain.ports import Classifier
from domain.values import ModelIdentity

#: Models kept in memory beside the default; the one used longest ago makes room.
BESIDE_DEFAULT = 1


class ModelShelf:
    """Loads each model once. Any thread may ask.

    ``available`` lists the usable packages; ``load`` builds one and raises UnknownModel or BadModelPackage.
    """

    def __init__(
        self,
        default: Classifier,
        *,
        available: Callable[[], Sequence[ModelIdentity]],
        load: Callable[[str], Classifier],
        beside_default: int = BESIDE_DEFAULT,
    ) -> None:
        self.default = default
        self._available = available
        self._load = load
        self._beside_default = beside_default
        self._others: OrderedDict[str, Classifier] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: str | None) -> Classifier:
        """The model called ``name`` (None: the default). Raises UnknownModel, BadModelPackage."""
        if name is None or name == self.default.identity.name:
            return self.default
        with self._lock:  # loading takes seconds; a second request for the same model must not load it twice
            if name in self._others:
                self._others.move_to_end(name)
                return self._others[name]
            classifier = self._load(name)
            while len(self._others) >= self._beside_default:
                self._others.popitem(last=False)
            self._others[name] = classifier
            return classifier

    def identities(self) -> tuple[ModelIdentity, ...]:
        """Every model that can be asked for, the default first."""
        own = self.default.identity
        return (own, *(other for other in self._available() if other.name != own.name))
