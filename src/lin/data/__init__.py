"""Delta tables: the log, pins, history, diff, restore, writes. The only room that imports deltalake."""
