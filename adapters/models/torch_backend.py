"""The functions that services are handed to work with networks: ports ``PackageNetworks`` and ``TrainingNetworks``."""

from adapters.models.appearance import fit_appearance, is_glass
from adapters.models.exchange.export import write_network
from adapters.models.exchange.source import read_source
from adapters.models.package_writer import write_package
from adapters.models.preprocess import margins_of
from adapters.models.registry import architecture
from adapters.models.scoring import network_margins, score_as_served, score_with
from adapters.models.starting_weights import start_from_imagenet, start_from_state
from adapters.models.storage import as_stored

__all__ = [
    "architecture",
    "as_stored",
    "fit_appearance",
    "is_glass",
    "margins_of",
    "network_margins",
    "read_source",
    "score_as_served",
    "score_with",
    "start_from_imagenet",
    "start_from_state",
    "write_network",
    "write_package",
]
