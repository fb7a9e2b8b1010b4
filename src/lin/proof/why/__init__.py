"""Why two runs came out otherwise, from their records alone, and what undoes it."""
