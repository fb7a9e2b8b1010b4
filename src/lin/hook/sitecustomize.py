"""Python imports this when it starts, for `lin run` put this folder first: it starts the capture and steps aside.

Afterwards `sys.path` is what it would be without it, and the `sitecustomize` that Python would have found is the one
that is imported. PYTHONPATH stays, so that Pythons which the program starts are captured too. Programs started with
`python -S`, `-I` or `-E`, or with an environment of their own, are not captured. Oldest syntax: Python 2 gets here too.
"""

import os
import sys

_here = os.path.dirname(__file__)  # noqa: PTH120  pathlib takes longer to import than all that is done here

if sys.version_info >= (3, 8) and os.environ.get("LIN_RUN") and os.environ.get("LIN_CAPTURE"):
    try:
        import lin_hook  # type: ignore[import-not-found]  # found through this folder, not as a part of lin

        lin_hook.start(os.environ["LIN_RUN"], os.environ["LIN_CAPTURE"])
    except Exception:  # noqa: BLE001  whatever is wrong with the capture, the program runs as if it were not there
        if os.environ.get("LIN_DEBUG") == "1":
            sys.excepthook(*sys.exc_info())

sys.path[:] = [_folder for _folder in sys.path if _folder != _here]
sys.path_importer_cache.pop(_here, None)
del sys.modules["sitecustomize"]
# where there is none, the ImportError says so to whoever imported this, as it would without us
import sitecustomize  # type: ignore[import-not-found]  # noqa: E402, F401  by now it is another one
