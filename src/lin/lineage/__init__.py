"""The graph over records: what a thing was made from. Reads runs, models and tables; writes nothing."""
