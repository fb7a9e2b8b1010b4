"""The version of this lin, at the bottom of all layers: records carry it."""

__version__ = "0.1.0"
