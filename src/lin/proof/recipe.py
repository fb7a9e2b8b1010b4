"""The recipe of a run: from its record, all that it takes to run it again; and recipes with one thing otherwise.

What a record does not tell is refused here, before anything is looked for: a command that had a secret in it, a run
that nobody started through lin.
"""

from collections.abc import Mapping

import msgspec

from lin.errors import NotReproducibleError
from lin.ids import short
from lin.project import Project
from lin.recipes import Recipe
from lin.records import Environment, Param, decode
from lin.runs.execute import UNPINNED_TAG
from lin.runs.probe import VARIABLES
from lin.runs.query import RunInfo
from lin.runs.redact import REDACTED

SEED_PARAMS = frozenset({"seed", "random_state"})
"""Parameters that decide chance alone."""

THREAD_VARIABLES = {
    "openblas": "OPENBLAS_NUM_THREADS",
    "openmp": "OMP_NUM_THREADS",
    "mkl": "MKL_NUM_THREADS",
}
"""Which variable sets the threads of a library, by the name that the library has in an environment's `blas`."""


def recipe_of(project: Project, run: RunInfo) -> Recipe:
    """All that it takes to run `run` again; of a re-run, what that was asked to be.

    Raises:
        NotReproducibleError: it has not finished, is of a kind that cannot be re-run, its command had a secret, or it
            used tables that could not be pinned.
    """
    if run.status not in {"finished", "failed"}:
        raise NotReproducibleError(f"run {short(run.id)} cannot be re-run: it is {run.status}", hint="lin runs")
    if UNPINNED_TAG in run.tags:
        raise NotReproducibleError(
            f"run {short(run.id)} cannot be re-run: it used tables that were not pinned: {run.tags[UNPINNED_TAG]}",
            hint="only local tables are pinned: copy what it needs into the project, and run it again",
        )
    if run.recipe is not None:
        asked = decode(project.store.blobs.read(run.recipe), Recipe, where=f"the recipe of run {short(run.id)}")
        return msgspec.structs.replace(asked, repeat=0)
    if run.fit is not None:
        params: Mapping[str, Param] = {}
    elif run.command:
        params = project.store.runs.start(run.id).params
        _require_whole(run)
    else:
        raise NotReproducibleError(
            f"run {short(run.id)} cannot be re-run: {_why_not(run)}", hint="lin runs --where \"kind = 'train'\""
        )
    environment = read_environment(project, run)
    return Recipe(
        kind="train" if run.fit is not None else "command",
        name=run.name,
        fit=run.fit,
        command=run.command,
        folder=run.folder,
        params=dict(params),
        experiment=run.experiment,
        tables=list(run.table_inputs),
        files=list(run.file_inputs),
        models=list(run.model_inputs),
        source=run.source.tree if run.source else None,
        environment=run.environment,
        variables=_variables(environment) if environment else {},
        threads=_threads(environment) if environment else {},
    )


def read_environment(project: Project, run: RunInfo) -> Environment | None:
    """The environment that the run recorded."""
    return None if run.environment is None else decode_environment(project, run.environment)


def decode_environment(project: Project, sha256: str) -> Environment:
    """The environment of that digest. Raises `StoreError` if it is missing or damaged."""
    return decode(project.store.blobs.read(sha256), Environment, where=f"environment {sha256[:12]}")


def with_params(recipe: Recipe, params: Mapping[str, Param]) -> Recipe:
    """The recipe of a fit with these parameters of its estimator instead; `seed` is that of its split."""
    if recipe.fit is None:
        return msgspec.structs.replace(recipe, params=recipe.params | dict(params))
    own = {name: value for name, value in params.items() if name != "seed"}
    fit = msgspec.structs.replace(recipe.fit, params=recipe.fit.params | own)
    if isinstance(seed := params.get("seed"), int):
        fit = msgspec.structs.replace(fit, seed=seed)
    return msgspec.structs.replace(recipe, fit=fit)


def _variables(environment: Environment) -> dict[str, str]:
    return {name: value for name, value in environment.variables.items() if name in VARIABLES}


def _threads(environment: Environment) -> dict[str, int]:
    """The threads of each library; where it is loaded twice, the most."""
    threads: dict[str, int] = {}
    for blas in environment.blas:
        if blas.library in THREAD_VARIABLES:
            threads[blas.library] = max(blas.threads, threads.get(blas.library, 0))
    return threads


def _require_whole(run: RunInfo) -> None:
    if any(REDACTED in word for word in run.command):
        raise NotReproducibleError(
            f"run {short(run.id)} cannot be re-run: its command had a secret in it, which was not kept: "
            f"{' '.join(run.command)}",
            hint="run it again with lin run, the secret in a variable of the environment",
        )


def _why_not(run: RunInfo) -> str:
    if run.kind == "program":
        return "it was begun at a prompt or in a notebook, so there is no command; in a program there is one"
    return f"it is {'an' if run.kind == 'import' else 'a'} {run.kind} run: a re-run is for fits and commands"
