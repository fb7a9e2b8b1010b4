from lin.lineage.holders import name_models
from lin.models.changes import promote, register_model


def test_runs_are_known_by_their_model_versions(begun):
    first, second, neither = begun.train(), begun.train(), begun.train(None)
    register_model(begun.project, first.id, "other")
    promote(begun.project, "boston@1", "production")
    promote(begun.project, "boston@2", "production")
    assert name_models(begun.project) == {
        first.id: ["boston@1 (archived)", "other@1"],
        second.id: ["boston@2 (production)"],
    }
    assert neither.id not in name_models(begun.project)
