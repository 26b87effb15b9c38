import math
import pickle
import sys
from types import SimpleNamespace
from typing import Annotated, Literal

import numpy as np
import pytest
from pydantic import Field

from fedchain.aggregation import Received, aggregations, mixed_vectors, pre_aggregations
from fedchain.aggregation.directions import Directions
from fedchain.attacks import attacks
from fedchain.errors import DataError, PartError, Problem, ScenarioError
from fedchain.learning.task import losses
from fedchain.registry import (
    FAMILIES,
    AtMost,
    Family,
    Part,
    bound_problems,
    examine_keys,
    nested_family,
    parameters,
    within,
)
from fedchain.registry.parts import overlay
from fedchain.scenario.schema import leaf_schema
from fedchain.update import updates

laws: Family[float] = Family("law")
rules: Family[float] = Family("rule")


@laws
def flat(*, value: float = 1.0) -> float:
    return value


@laws
def steep(*, slope: Annotated[float, Field(gt=0)]) -> float:
    return slope


ROWS = Directions((np.ones(3, dtype=np.int16), np.ones(3, dtype=np.int16)), (10, 10))
RECEIVED = Received(ROWS, np.ones(2), np.ones(2))
FLAT = Part("flat", {"value": 2.0})


@rules
def add(
    left: "NotImported",  # noqa: F821 - what the simulator gives is not the YAML's business
    *,
    keep: Annotated[
        int, Field(ge=1), AtMost("nodes.asked", "the number of holders or groups asked in a round")
    ] = 1,
    mode: Literal["fast", "exact"] = "fast",
    share: Annotated[float, Field(gt=0, allow_inf_nan=True)] | Literal["auto"] = "auto",
    sizes: tuple[int, ...] = (),
    law: Annotated[Part, laws] = FLAT,
) -> float:
    return left + laws.build(law)


def problems(family, block):
    with pytest.raises(ScenarioError) as caught:
        family.check(block, ("rule",))
    return [f"{p.key}: {p.text}" for p in caught.value.problems]


def test_defaults_are_filled_in_and_nested():
    part = rules.check({"kind": "add"})
    assert part.plain() == {
        "kind": "add",
        "keep": 1,
        "mode": "fast",
        "share": "auto",
        "sizes": [],
        "law": {"kind": "flat", "value": 2.0},
    }
    assert rules.build(part, 1.0) == 3.0


def test_a_nested_block_keeps_or_replaces_the_default():
    assert rules.check({"kind": "add", "law": {"value": 5}}).plain()["law"]["value"] == 5.0
    law = rules.check({"kind": "add", "law": {"kind": "steep", "slope": 3}}).plain()["law"]
    assert law == {"kind": "steep", "slope": 3.0}


def test_every_problem_is_found_at_once():
    found = problems(
        rules, {"kind": "add", "keep": 0, "mode": "slow", "x": 1, "law": {"kind": "y"}}
    )
    assert found == [
        "rule.law.kind: no law called 'y'; allowed: flat, steep",
        "rule.keep: must be at least 1, got 0",
        "rule.mode: must be one of 'fast' or 'exact', got 'slow'",
        "rule.x: no such key; allowed: keep, law, mode, share, sizes",
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (True, "must be a number or one of 'auto', got true (true or false)"),
        (-1.0, "must be above 0 or one of 'auto', got -1.0"),
        (math.nan, "must be above 0 or one of 'auto', got nan"),
        ([1], "must be a number or one of 'auto', got [1] (a list)"),
    ],
)
def test_a_union_says_all_that_is_allowed(value, said):
    assert problems(rules, {"kind": "add", "share": value}) == [f"rule.share: {said}"]


def test_an_entry_of_a_list_is_named_by_its_number():
    assert problems(rules, {"kind": "add", "sizes": [1, "x"]}) == [
        "rule.sizes[1]: must be a whole number, got 'x' (text)"
    ]
    assert rules.check({"kind": "add", "sizes": [1, 2]}).parameters["sizes"] == (1, 2)


@pytest.mark.parametrize("block", [None, 3, [], "add", {}, {"keep": 1}])
def test_what_is_no_block_with_a_kind_is_refused(block):
    assert problems(rules, block) == ["rule: needs a block with a kind: one of add"]


def test_equal_parts_have_one_hash_also_with_lists_inside():
    one, same, other = (Part("mlp", {"hidden": hidden}) for hidden in ([16], [16], [8]))
    assert (one == same, hash(one) == hash(same), one == other) == (True, True, False)


def test_a_part_is_closed_to_writing_and_travels():
    part = rules.check({"kind": "add"})
    with pytest.raises(TypeError):
        part.parameters["keep"] = 2
    assert pickle.loads(pickle.dumps(part)) == part


def test_bounds_across_the_scenario_are_found():
    part = rules.check({"kind": "add", "keep": 9})
    allowed, refused = (
        list(bound_problems(part, rules, {"nodes": {"asked": asked}}, ("rule",)))
        for asked in (9, 8)
    )
    words = "must be between 1 and 8 (the number of holders or groups asked in a round), got 9"
    assert (allowed, refused) == ([], [Problem(("rule", "keep"), words)])


MIXED = {"kind": "dnc", "first": [{"kind": "nnm"}, {"kind": "bucketing", "size": 3}]}


def test_a_list_of_parts_has_all_their_defaults_and_comes_back():
    part = aggregations.check(MIXED)
    assert part.plain()["first"] == [{"kind": "nnm", "byzantine": None}, MIXED["first"][1]]
    assert aggregations.check(part.plain()) == part
    assert aggregations.check({"kind": "dnc"}).parameters["first"] == ()
    assert [(where, each.kind) for where, each, _ in within(part, aggregations, ("rule",))] == [
        (("rule",), "dnc"),
        (("rule", "first", 0), "nnm"),
        (("rule", "first", 1), "bucketing"),
    ]


@pytest.mark.parametrize(
    ("first", "words"),
    [
        ([{"kind": "nnm"}, {"kind": "nmm"}], "rule.first[1].kind: no pre_aggregation called 'nmm'"),
        ([{"kind": "bucketing", "size": 0}], "rule.first[0].size: must be at least 1, got 0"),
        ([{"kind": "nnm"}, "nnm"], "rule.first[1]: needs a block with a kind: one of bucketing"),
        ({"kind": "nnm"}, "rule.first: must be a list of blocks, got a block of keys"),
        (None, "rule.first: must be a list of blocks, got nothing"),
        ([{"kind": "nnm"}] * 9, "rule.first: must have 0 to 8 blocks, got 9"),
        ([{"kind": "nnm", "f": 2}], "rule.first[0].f: no such key; allowed: byzantine"),
    ],
)
def test_what_is_wrong_in_a_list_of_parts_has_its_place(first, words):
    with pytest.raises(ScenarioError) as caught:
        aggregations.check({"kind": "dnc", "first": first}, ("rule",))
    assert str(caught.value).startswith(words)


def test_bounds_across_the_scenario_are_found_in_a_list():
    part = aggregations.check({"kind": "mean", "first": [{"kind": "nnm", "byzantine": 5}]})
    problems = [
        problem.key
        for where, each, family in within(part, aggregations, ("rule",))
        for problem in bound_problems(each, family, {"nodes": {"asked": 4}}, where)
    ]
    assert problems == ["rule.first[0].byzantine"]


def test_the_parts_inside_a_part_are_found():
    part = rules.check({"kind": "add"})
    assert [(where, p.kind) for where, p, _ in within(part, rules)] == [
        ((), "add"),
        (("law",), "flat"),
    ]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return 1 / (left - left)", r"ZeroDivisionError: .* \(.*ill_lab\.py, line 2\)"),
        ("return int(Path(left))", r"NameError: name 'Path' .* line 2\)"),
        ("return helper(left)\ndef helper(left):\n    raise KeyError('x')", r"KeyError.* line 4\)"),
        ("left + 1", "returns None; a part returns what it makes"),
    ],
)
def test_a_part_of_ones_own_that_fails_is_named_with_its_line(body, words, tmp_path, monkeypatch):
    (tmp_path / "ill_lab.py").write_text(f"def mine(left):\n    {body}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "ill_lab", raising=False)
    with pytest.raises(PartError, match=f"^rule ill_lab:mine: {words}"):
        rules.build(rules.check({"kind": "ill_lab:mine"}), 1.0)


def test_a_part_of_ones_own_that_returns_something_else_is_named(tmp_path, monkeypatch):
    (tmp_path / "odd_lab.py").write_text("def mine(left):\n    return left\n")
    monkeypatch.syspath_prepend(tmp_path)
    family: Family[list[int]] = Family("list", makes=list)
    with pytest.raises(PartError, match=r"^list odd_lab:mine: must return list, got int$"):
        family.build(Part("odd_lab:mine", {}), 1)


AGGREGATE = "from fedchain.aggregation.rule import Aggregate\nimport numpy as np\n"
REMEMBERS = AGGREGATE + "def mine(r): return Aggregate(np.ones(3), r.norms, r.norms, ('', ''), "
VECTORS = mixed_vectors(RECEIVED, "restore")
MIXES = "from fedchain.aggregation import Vectors\nimport numpy as np\n"
MIXES += "def mine(v): return Vectors(v.received, v.factors, "
UPDATED = "from fedchain.update import Updated\nimport numpy as np\n"


@pytest.mark.parametrize(
    ("family", "arguments", "text", "words"),
    [
        (
            aggregations,
            (RECEIVED,),
            AGGREGATE + "def mine(r): return Aggregate(r.norms, r.norms, r.norms, ('',) * 2)",
            "gradient must be an array of float64 of shape (3,), got float64 of shape (2,)",
        ),
        (
            aggregations,
            (RECEIVED,),
            AGGREGATE + "def mine(r): return Aggregate(np.ones(3), r.norms, r.norms > 0, ())",
            "shares must be an array of float64 of shape (2,), got bool of shape (2,)",
        ),
        (
            aggregations,
            (RECEIVED,),
            AGGREGATE + "def mine(r): return Aggregate(np.ones(3), r.norms, -r.norms, ())",
            "shares must be numbers of 0 or more, got -1 among them",
        ),
        (
            aggregations,
            (RECEIVED,),
            AGGREGATE + "def mine(r): return Aggregate(np.ones(3), r.norms, r.norms, ())",
            "reasons must be a tuple of 2 texts, got ()",
        ),
        (
            aggregations,
            (RECEIVED,),
            AGGREGATE + "def mine(r): return Aggregate(np.ones(3), r.norms, 0 * r.norms, ('', ''))",
            "reasons: row 0 has share 0: its reason must say why nothing was taken, got ''",
        ),
        (
            aggregations,
            (RECEIVED,),
            REMEMBERS + "3)",
            "memory must be a mapping of names to arrays, got int",
        ),
        (
            aggregations,
            (RECEIVED,),
            REMEMBERS + "{'centre': np.ones(3, dtype=np.float32)})",
            "memory 'centre' must be a flat array of float64",
        ),
        (
            aggregations,
            (RECEIVED,),
            REMEMBERS + "{'centre': np.array([1.0, np.nan])})",
            "memory 'centre' must be finite numbers",
        ),
        (
            aggregations,
            (RECEIVED,),
            REMEMBERS + "{'größe': np.ones(3)})",
            "memory: a name must be 1 to 100 ASCII characters, got 'größe'",
        ),
        (
            aggregations,
            (RECEIVED,),
            REMEMBERS + "{f'of {k}': np.ones(1) for k in range(33)})",
            "memory must have at most 32 arrays, got 33",
        ),
        (
            aggregations,
            (RECEIVED,),
            REMEMBERS + "{'all': np.ones(2073)})",
            "memory must have at most 2072 numbers (8 times the weights), got 2073",
        ),
        (
            aggregations,
            (RECEIVED,),
            REMEMBERS + "scores=r.norms[:1], score='far')",
            "scores must be an array of float64 of shape (2,), got float64 of shape (1,)",
        ),
        (
            aggregations,
            (RECEIVED,),
            REMEMBERS + "scores=r.norms)",
            "scores must be an array of float64 of shape (0,), got float64 of shape (2,)",
        ),
        (
            aggregations,
            (RECEIVED,),
            REMEMBERS + "scores=np.full(2, np.nan), score='far')",
            "scores must be finite numbers",
        ),
        (
            aggregations,
            (RECEIVED,),
            REMEMBERS + "score=3)",
            "score must be a text of at most 100 characters, got 3",
        ),
        (
            pre_aggregations,
            (VECTORS,),
            MIXES + "np.ones((1, 3)), np.ones((1, 2)), np.zeros(2, int))",
            "mix must be an array of float64 of shape (1, 2), got float64 of shape (1, 3)",
        ),
        (
            pre_aggregations,
            (VECTORS,),
            MIXES + "np.ones((1, 2)), -np.ones((1, 2)), np.zeros(2, int))",
            "taken must be finite numbers of 0 or more",
        ),
        (
            pre_aggregations,
            (VECTORS,),
            MIXES + "np.ones((1, 2)), np.ones((1, 2)), np.ones(2, int))",
            "owners must be from 0 to 0",
        ),
        (
            pre_aggregations,
            (VECTORS,),
            MIXES + "np.ones((1, 2)), None, None)",
            "mix, taken and owners: either all are None, or none is",
        ),
        (
            updates,
            (np.ones(4), {}, np.ones(4), 1),
            UPDATED + "def mine(w, m, g, t): return Updated(w, {'rule/pace': np.ones(1)})",
            "memory 'rule/pace': names with 'rule/' belong to the aggregation rule",
        ),
        (
            updates,
            (np.ones(4), {}, np.ones(4), 1),
            UPDATED + "def mine(w, m, g, t): return Updated([0.0] * 4, m)",
            "weights must be an array of float64 of shape (4,), got list",
        ),
        (
            updates,
            (np.ones(4), {}, np.ones(4), 1),
            UPDATED + "def mine(w, m, g, t): return Updated(w, {'pace': 1.0})",
            "memory 'pace' must be a flat array of float64",
        ),
        (
            updates,
            (np.ones(4), {}, np.ones(4), 1),
            UPDATED + "def mine(w, m, g, t): return Updated(w, 3)",
            "memory must be a mapping of names to arrays, got int",
        ),
        (
            attacks,
            (SimpleNamespace(own=np.ones((2, 4), dtype=np.float32)),),
            "def mine(view): return view.own[0]",
            "must return numbers of shape (2, 4), got float32 of shape (4,)",
        ),
    ],
)
def test_what_a_part_of_ones_own_makes_is_looked_at(
    family, arguments, text, words, tmp_path, monkeypatch
):
    (tmp_path / "shape_lab.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "shape_lab", raising=False)
    with pytest.raises(PartError) as caught:
        family.build(Part("shape_lab:mine", {}), *arguments)
    assert str(caught.value) == f"{family.name} shape_lab:mine: {words}"


def test_a_function_that_a_part_of_ones_own_makes_says_where_it_fails(tmp_path, monkeypatch):
    text = "def mine():\n    def loss(rows, at):\n        return rows[at]\n    return loss\n"
    (tmp_path / "loss_lab.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    loss = losses.build(Part("loss_lab:mine", {}))
    assert loss("ab", 1) == "b"
    with pytest.raises(PartError, match=r"^loss loss_lab:mine: IndexError: .*loss_lab\.py, line 3"):
        loss("ab", 2)


def test_a_module_of_ones_own_that_fails_when_it_is_imported_is_named(tmp_path, monkeypatch):
    (tmp_path / "sick_lab.py").write_text("raise RuntimeError('no licence')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ScenarioError, match="cannot import 'sick_lab:mine': no licence"):
        rules.check({"kind": "sick_lab:mine"}, ("rule",))


def test_an_error_that_a_part_of_ones_own_explains_itself_stays_as_it_is(tmp_path, monkeypatch):
    text = (
        "from fedchain.errors import DataError\n\ndef mine(left):\n    raise DataError('no file')\n"
    )
    (tmp_path / "data_lab.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DataError, match=r"^no file$"):
        rules.build(rules.check({"kind": "data_lab:mine"}), 1.0)


def test_only_what_stands_after_the_star_is_set_by_the_scenario():
    assert list(parameters(add)) == ["keep", "mode", "share", "sizes", "law"]
    assert nested_family(parameters(add)["law"].annotation) is laws
    assert leaf_schema(add)["keep"] == {"default": 1, "minimum": 1, "type": "integer"}


def test_blocks_are_laid_over_blocks():
    assert overlay({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}) == {"a": {"b": 3, "c": 2}}
    assert overlay({"a": [1, 2]}, {"a": [3]}) == {"a": [3]}


def every_part():
    return [(name, kind) for name, address in FAMILIES.items() for kind in address.family().names()]


def test_every_family_goes_by_its_own_name():
    assert [a.family().name for a in FAMILIES.values()] == list(FAMILIES)


def test_every_registered_part_is_described():
    for name, kind in every_part():
        maker = FAMILIES[name].family().find(kind)
        assert maker.__doc__, f"{name} {kind} has no docstring"
        for parameter in parameters(maker):
            assert f"{parameter}:" in maker.__doc__, f"{name} {kind}: {parameter} is not explained"


def test_every_default_of_every_part_passes_its_own_checks():
    for name, kind in every_part():
        family = FAMILIES[name].family()
        expected = parameters(family.find(kind))
        block = {n: p.default for n, p in expected.items() if p.default is not p.empty}
        plain = {n: v.plain() if isinstance(v, Part) else v for n, v in block.items()}
        _, found = examine_keys(family.find(kind), plain, ())
        assert [p for p in found if "is missing" not in p.text] == []
