"""Environments by content: found here, made anew by uv and checked, or known not to be had."""
