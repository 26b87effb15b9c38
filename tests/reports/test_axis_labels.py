import pytest

from fedchain.reports.axis_labels import block_words

ADAM = "{kind: adam, learning_rate: 0.08}"
EARLY = "{kind: averaged, of: {kind: adam, learning_rate: 0.08}, from_round: 21}"
DECAY = "{kind: averaged, of: {kind: adam, learning_rate: 0.08}, decay: 0.8}"
DRIFT = "{kind: averaged, of: {kind: filtered, of: {kind: adam}, drift: 0.5}, decay: 0.8}"


def words(*texts: str, key: str = "update") -> list[str]:
    named = block_words(key, texts)
    return [named[text] for text in texts]


def test_blocks_of_different_kinds_are_named_by_their_kind() -> None:
    assert words(ADAM, EARLY, "{kind: momentum, learning_rate: 0.08}") == [
        "adam", "averaged", "momentum"
    ]  # fmt: skip


def test_blocks_of_one_kind_are_named_by_what_differs_between_them() -> None:
    assert words(ADAM, EARLY, DECAY) == ["adam", "averaged, from round 21", "averaged, decay 0.8"]
    assert words(EARLY, DECAY, DRIFT) == [
        "averaged, of adam, from round 21",
        "averaged, of adam, decay 0.8",
        "averaged, of filtered, decay 0.8",
    ]


def test_without_kinds_the_keys_that_are_the_same_in_all_are_left_out() -> None:
    texts = ["{size: 5, honest: 0.8}", "{size: 10, honest: 0.8}", "{size: 10, honest: 1.0}"]
    assert words(*texts, key="nodes.groups") == [
        "size 5, honest 0.8", "size 10, honest 0.8", "size 10, honest 1"
    ]  # fmt: skip


def test_a_block_by_itself_is_named_by_all_its_keys_or_by_its_kind() -> None:
    assert words("null", "{size: 10, honest: 0.8}", key="nodes.groups") == [
        "no groups", "size 10, honest 0.8"
    ]  # fmt: skip
    assert words("{kind: krum, keep: 3}") == ["krum"]


def test_what_is_no_block_keeps_its_own_words() -> None:
    assert block_words("privacy.kind", ["gaussian", "null", "0.5"]) == {}
    assert block_words("name", ["{broken", "!tag x"]) == {}
    assert block_words("update", ["{kind: adam}", "sgd"]) == {"{kind: adam}": "adam"}


@pytest.mark.parametrize("texts", [("{kind: a, b: 1}", "{kind: a, b: 1.0}")])
def test_blocks_that_would_have_the_same_words_keep_their_text(texts: tuple[str, ...]) -> None:
    assert block_words("update", texts) == {}
