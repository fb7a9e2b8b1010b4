"""What sees from inside what a program reads and writes: code for the program's own Python, not for lin's.

`lin run` puts this folder in front of the program's PYTHONPATH; there `sitecustomize` starts the package `lin_hook`.
Nothing here imports lin, and nothing of lin imports this: any Python from 3.8 on must run it, whatever it has.
"""
