"""Judging: two runs side by side, and a model against what it said before."""
