from pathlib import Path

import pytest

from lin.config import parse_config, read_config
from lin.errors import NotFoundError, UsageError

EXAMPLE = Path(__file__).parent.parent / "lineage.toml.example"
SMALL = '[project]\nname = "p"\n'


def test_the_example_is_read_and_shows_every_setting() -> None:
    text = EXAMPLE.read_text()
    config = parse_config(text)
    assert config.experiment("housing").models[1].params == {"lasso__alpha": [1.0, 0.1]}
    assert config.experiment("wine").command == "python train.py --alpha {alpha}"
    settings = {name for struct in _structs() for name in struct.__struct_fields__}
    assert not [name for name in settings if name not in text]


def _structs() -> list[type]:
    import lin.config as module

    return [s for s in vars(module).values() if isinstance(s, type) and issubclass(s, module.Setting)]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[projet]\nname = 'p'", "unknown key 'projet' at the top", "did you mean 'project'?"),
        (SMALL + "[tables.t]\npath = 'x'\nkeys = ['a']", "unknown key 'keys' [tables.t]", "did you mean 'key'?"),
        (SMALL + "[experiments.e]\nsplit = { sede = 1 }", "[experiments.e.split]", "did you mean 'seed'?"),
        ("[project]\nname = 1", "project.name: Expected `str`, got `int`", None),
        (SMALL + "[experiments.e]\ntarget = 1", "lineage.toml: [experiments.e] target: Expected", None),
        ("", "Object missing required field `project`", None),
        ("[project", "lineage.toml is not valid TOML", None),
        (SMALL + "[tables.'../up']\npath = 'x'", "'../up' cannot name a table", "use letters"),
        (SMALL + "[experiments.e]\ntable = 't'", "[experiments.e] lacks 'target'", "table, target and models"),
        (SMALL + "[experiments.e]\ntable = 't'\ncommand = 'x'", "has both a command and a table", None),
        (SMALL + "[models.m]\ngates = { production = 'reproduced' }", "[models.m] gates", None),
        (
            SMALL + "[models.m]\ngates = { production = ['no feedback', 'reproducd'] }",
            "lineage.toml: [models.m] gates.production: 'reproducd' is not a gate",
            "did you mean 'reproduced'?",
        ),
        (SMALL + "[models.m]\ngates = { live = ['command: a {x}'] }", "[models.m] gates.live: the command", "{model}"),
        (SMALL + "x = " + "[" * 5000, "is not valid TOML", None),
    ],
)
def test_a_mistake_is_named_with_what_to_do(text: str, message: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        parse_config(text)
    assert message in caught.value.message
    assert (hint or "") in (caught.value.hint or "")


def test_what_is_not_declared_is_not_found() -> None:
    config = parse_config(SMALL + "[tables.housing]\npath = 'data/housing'")
    with pytest.raises(NotFoundError, match=r"there is no table 'hosing' in lineage.toml; it has: housing") as caught:
        config.table("hosing")
    assert caught.value.hint == "did you mean 'housing'?"


def test_a_file_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lineage.toml"
    path.write_text("#" * ((1 << 20) + 1))
    with pytest.raises(UsageError, match="1048577 bytes large"):
        read_config(path)
