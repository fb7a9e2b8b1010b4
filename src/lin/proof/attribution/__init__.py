"""Finding out by running: which difference between two runs changed the outcome, and how much."""
