"""The command line: one module per command. The only room that imports typer and rich; it computes nothing."""
