import contextlib
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenario_text import GOOD, complaint, write

from fedchain.errors import ScenarioError
from fedchain.scenario import load
from fedchain.scenario.reading import MAX_BYTES, read_yaml, scalar


def test_numbers_are_those_of_yaml_1_2():
    assert scalar("1e-5") == 1e-5
    assert isinstance(scalar("1e5"), float)
    assert scalar("-.inf") == -math.inf
    assert math.isnan(scalar(".nan"))
    assert scalar("0x1F") == 31
    assert scalar("010") == 10
    assert [scalar(t) for t in ("yes", "no", "on", "1_000", "12:30", "2001-01-01")] == [
        "yes", "no", "on", "1_000", "12:30", "2001-01-01"
    ]  # fmt: skip
    assert [scalar(t) for t in ("true", "False", "~", "")] == [True, False, None, None]


def test_a_quoted_number_is_text():
    assert read_yaml("a: '1'", "s")[0].plain() == {"a": "1"}


def test_every_value_and_key_knows_its_line_and_column():
    root, _ = read_yaml("a:\n  b: [1, 22]\n", "s.yaml")
    inner = root.get("a").get("b")
    assert (inner.key.line, inner.key.column) == (2, 3)
    assert (inner.get(1).mark.line, inner.get(1).mark.column) == (2, 10)


def test_a_duplicate_key_names_both_lines(tmp_path):
    text = complaint(write(tmp_path, GOOD + "name: other\n"))
    assert text == (
        "s.yaml:14:1: name: duplicate key; the first is in line 2\n    name: other\n    ^"
    )


def test_a_tag_is_refused_and_never_run(tmp_path):
    text = complaint(write(tmp_path, GOOD + "description: !!python/object/apply:os.getcwd []\n"))
    assert "s.yaml:14:14: description: the tag" in text
    assert "is not allowed" in text


def test_a_key_that_is_no_text_is_refused(tmp_path):
    assert "the key 1 must be text" in complaint(write(tmp_path, GOOD + "1: x\n"))
    assert "must be text" in complaint(write(tmp_path, GOOD + "[a, b]: x\n"))


def test_aliases_are_written_out(tmp_path):
    text = GOOD.replace("holders: 20", "holders: &n 20").replace("rounds: 10", "rounds: 20")
    text = text.replace("from_round: 5", "from_round: *n")
    assert load(write(tmp_path, text)).attacks[0].from_round == 20


def test_an_alias_without_its_anchor_is_named(tmp_path):
    assert "no anchor &n above" in complaint(write(tmp_path, GOOD + "seed: *n\n"))


def test_billions_of_aliases_are_refused_at_once(tmp_path):
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for name, before in zip("bcdefghi", "abcdefgh", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]")
    assert "values, aliases written out" in complaint(write(tmp_path, "\n".join(lines)))


@pytest.mark.parametrize("text", ["[" * 3000, "a: " + "{a: " * 3000, "- " * 3000])
def test_a_deep_file_is_refused(tmp_path, text):
    assert "blocks inside blocks" in complaint(write(tmp_path, text))


def test_aliases_cannot_make_a_deep_file(tmp_path):
    lines = ["a0: &a0 [x]"]
    lines += [f"a{i}: &a{i} [[[*a{i - 1}]]]" for i in range(1, 40)]
    assert "blocks inside blocks" in complaint(write(tmp_path, "\n".join(lines)))


def test_a_large_a_binary_and_a_latin_file_are_explained(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    assert complaint(path) == "s.yaml: larger than 256 KiB; a scenario is a page of text"
    path.write_bytes(b"name: caf\xe9\n")
    assert complaint(path) == "s.yaml: byte 9 is not UTF-8 text; save it as UTF-8"
    path.write_bytes(b"a: \0\n")
    assert complaint(path) == "s.yaml: holds binary data; a scenario is YAML text"


def test_a_missing_file_and_a_folder_are_explained(tmp_path):
    assert "s.yaml: no such file; give the path of a scenario file" in complaint(
        tmp_path / "s.yaml"
    )
    (tmp_path / "folder").mkdir()
    assert "folder: is a directory; give the path" in complaint(tmp_path / "folder")


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "{}"])
def test_an_empty_file_says_what_to_write(tmp_path, text):
    said = complaint(write(tmp_path, text))
    assert "is empty; write at least:" in said
    assert "task: {kind: breast_cancer}" in said


def test_broken_syntax_shows_the_line_and_a_caret(tmp_path):
    said = complaint(write(tmp_path, "version: 1\nname: [a\nrounds: 3\n"))
    assert said.startswith("s.yaml:3:")
    assert said.splitlines()[-1].strip() == "^"


def test_a_key_without_a_value_is_shown_where_it_stands(tmp_path):
    said = complaint(write(tmp_path, GOOD.replace("rounds: 10", "rounds:")))
    place, line, caret = said.splitlines()
    assert place.endswith("rounds: must be a whole number, got nothing")
    assert (line.strip(), caret) == ("rounds:", "    ^")


def test_a_tab_at_the_end_of_a_line_is_a_blank(tmp_path):
    text = GOOD.replace("rounds: 10", "rounds: 10\t \t").replace("version: 1", "version: 1\t")
    for each in (text, text.replace("\n", "\r\n"), text.replace("\t", "\t \n \t")):
        assert load(write(tmp_path, each)).rounds == 10


@pytest.mark.parametrize(
    ("line", "column", "name"),
    [
        ("rounds:\u00a0 10", 8, "no-break space (U+00A0)"),
        ("rounds:\t10", 8, "a tab (U+0009)"),
    ],
)
def test_a_character_that_only_looks_like_a_space_is_named_in_its_line(
    line, column, name, tmp_path
):
    text = GOOD.replace("rounds: 10", line)
    number = text.splitlines().index(line) + 1
    said = complaint(write(tmp_path, text))
    assert said.startswith(f"s.yaml:{number}:{column}: {name} where YAML wants a plain space")


def test_a_decimal_comma_infinity_without_its_point_and_a_star_say_what_to_write(tmp_path):
    _, (comma,) = read_yaml("privacy: {clip: 1,5}", "s.yaml")
    assert comma.problem.key == "privacy"
    assert comma.problem.text.startswith("the key 5 has no value; a comma ends a value, so")
    for word in ("inf", "Infinity", "+inf"):
        said = complaint(write(tmp_path, GOOD.replace("epsilon: 4", f"epsilon: {word}")))
        assert f"must be a number, got '{word}' (text); write .inf for infinity" in said
    star = complaint(write(tmp_path, GOOD + "description: *_raw.ply\n"))
    assert "no anchor &_raw.ply above; text that begins with * needs quotes" in star


def test_a_second_document_is_refused(tmp_path):
    assert "a second document" in complaint(write(tmp_path, GOOD + "---\na: 1\n"))


def test_a_number_too_large_for_a_float_is_named(tmp_path):
    path = write(tmp_path, GOOD.replace("epsilon: 4", "epsilon: 1e999"))
    assert "privacy.epsilon: too large a number, got 1e999" in complaint(path)


def refuses_or_loads(path):
    with contextlib.suppress(ScenarioError):
        load(path)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.binary(max_size=200))
def test_random_bytes_give_a_scenario_error_and_nothing_else(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "bytes.yaml"
    path.write_bytes(data)
    refuses_or_loads(path)


YAMLISH = st.lists(
    st.sampled_from(
        ["version", "task", "kind", ": ", ":", "\n", "  ", "- ", "{", "}", "[", "]", ", ", "&a ",
         "*a", "!t ", "? ", "| ", "> ", "'", '"', "\\", "%", "#", "@", "`", ".nan", ".inf", "1",
         "gaussian", "l_nearest", "attacks", "\t", "---", "...", "<<", "é", "\u2028", "\\U00FFFFFF"]
    ),
    max_size=40,
)  # fmt: skip


@settings(max_examples=300, deadline=None, derandomize=True)
@given(pieces=YAMLISH)
def test_almost_yaml_gives_a_scenario_error_and_nothing_else(tmp_path_factory, pieces):
    path = tmp_path_factory.getbasetemp() / "almost.yaml"
    path.write_text("".join(pieces), encoding="utf-8")
    refuses_or_loads(path)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(cut=st.integers(0, len(GOOD)), piece=YAMLISH)
def test_a_scenario_with_anything_written_into_it_loads_or_explains(tmp_path_factory, cut, piece):
    path = tmp_path_factory.getbasetemp() / "spoiled.yaml"
    path.write_text(GOOD[:cut] + "".join(piece[:6]) + GOOD[cut:], encoding="utf-8")
    refuses_or_loads(path)
