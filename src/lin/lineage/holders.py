"""For whom something is kept: the model versions behind runs, by name. Read from the registry, never stored."""

from lin.models.registry import list_versions, read_registry
from lin.project import Project


def name_models(project: Project) -> dict[str, list[str]]:
    """The model versions of each run that was registered, by its id: `boston@1`, or `boston@1 (production)`."""
    named: dict[str, list[str]] = {}
    for version in list_versions(read_registry(project.store)):
        stage = f" ({version.stage})" if version.stage != "none" else ""
        named.setdefault(version.run, []).append(f"{version.reference}{stage}")
    return named
