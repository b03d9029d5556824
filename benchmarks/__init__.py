"""How fast Histovox is on this machine, as ratios: ``make bench``."""
