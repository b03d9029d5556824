"""The loaded models: the default one always, others when they are asked for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping

from domain.errors import UnknownModel
from domain.ports import Classifier
from domain.values import ModelIdentity

#: Models kept in memory beside the default; the one used longest ago makes room.
BESIDE_DEFAULT = 1


class ModelCache:
    """Loads each model once. Any thread may ask.

    ``packages`` lists the model packages by name, with None for one that has a fault; ``load`` makes one ready for use
    and raises BadModelPackage. The default model is loaded at once.
    """

    def __init__(
        self,
        default: str,
        *,
        packages: Callable[[], Mapping[str, ModelIdentity | None]],
        load: Callable[[str], Classifier],
        beside_default: int = BESIDE_DEFAULT,
    ) -> None:
        self._packages = packages
        self._load = load
        self._beside_default = beside_default
        self._others: OrderedDict[str, Classifier] = OrderedDict()
        self._lock = threading.Lock()
        self.default = load(default)

    def get(self, name: str | None) -> Classifier:
        """The model called ``name`` (None: the default). Raises UnknownModel, BadModelPackage."""
        if name is None or name == self.default.identity.name:
            return self.default
        with self._lock:  # loading takes seconds; a second request for the same model must not load it twice
            if name in self._others:
                self._others.move_to_end(name)
                return self._others[name]
            # A name comes from a message: it is looked for among the packages, never taken for a path.
            packages = self._packages()
            if name not in packages:
                raise UnknownModel(name, known=[known for known, identity in packages.items() if identity])
            classifier = self._load(name)
            while len(self._others) >= self._beside_default:
                self._others.popitem(last=False)
            self._others[name] = classifier
            return classifier

    def identities(self) -> tuple[ModelIdentity, ...]:
        """Every model that can be asked for, the default first."""
        own = self.default.identity
        others = (identity for identity in self._packages().values() if identity and identity.name != own.name)
        return (own, *others)
