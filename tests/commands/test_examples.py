"""The examples of the help, read; `tests/test_installed.py` runs them all."""

from pathlib import Path

import pytest
from help_examples import MARK, arguments, commands, examples

from fedchain.scenario import shipped_files

ALL = list(commands())


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_ends_its_help_with_an_example_of_itself(words):
    epilog = commands()[words].epilog
    assert epilog.startswith(MARK)
    assert arguments(epilog.removeprefix(MARK))[: len(words)] == list(words)


@pytest.mark.parametrize("words", [words for words in ALL if words], ids=" ".join)
def test_every_example_has_options_and_arguments_that_the_command_takes(words, monkeypatch):
    monkeypatch.setattr("fedchain.system.foreign_owner", lambda _: None)
    monkeypatch.setattr(Path, "exists", lambda *_, **__: True)
    command = commands()[words]
    given = arguments(examples()[words])[len(words) :]
    command.make_context(" ".join(words), given)  # reads them all, and calls nothing


def test_an_example_names_nothing_that_a_user_does_not_have():
    made = {
        "runs",
        "sweeps",
        "first_light.fedchain",
        "proof.json",
        "mine.yaml",
        "imported",
        "damaged",
        "scans",
        "scan.ply",
        "cleaner.npz",
    }
    for example in examples().values():
        for word in arguments(example):
            name = word.partition("/")[0]
            if name != word or "." in name.partition("=")[0]:
                assert name in made or "=" in word, example
    named = {word for example in examples().values() for word in arguments(example)}
    assert {"first_light", "breast_cancer"} <= named & set(shipped_files())
