"""`lin`: what made each model, why a prediction changed, and the old result back, with proof."""

__version__ = "0.1.0"
