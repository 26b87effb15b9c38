from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from ledger_world import D, make_world

from fedchain import transition
from fedchain.errors import LedgerError, RunError, ScenarioError
from fedchain.ledger.chain.state import State
from fedchain.transition import Steps, check_quorum, model_of

WORLD = make_world()
MEAN = '{"kind":"mean","scale":"restore"}'
NEAREST = '{"keep":3,"kind":"l_nearest","scale":"median_clip"}'
DESCENT = '{"decay":0.5,"kind":"gradient_descent","learning_rate":0.1,"weight_decay":0.25}'


def steps(aggregation=MEAN, update=DESCENT, trust=False, **rules):
    named = replace(WORLD.rules, aggregation=aggregation, update=update, **rules)
    return Steps(named, trust_user_parts=trust)


def start(dtype="float64") -> State:
    return State(np.linspace(-1.0, 1.0, D).astype(dtype), {})


def by_hand(messages, factors, used, round_) -> list[float]:
    """Compute equations (16) and (8) in plain floats, one operation after the other."""
    rate, weights = 0.1 / (1.0 + 0.5 * (round_ - 1)), start().weights.tolist()
    after = []
    for place, weight in enumerate(weights):
        total = 0.0
        for message, factor, taken in zip(messages, factors, used, strict=True):
            if taken:
                whole = float(int(message.direction[place]) * 2 ** (20 - message.exponent))
                total += whole * factor
        gradient = total / float(sum(used)) / 2.0**20
        after.append(weight - rate * (gradient + 0.25 * weight))
    return after


@pytest.mark.parametrize("round_", [1, 4])
def test_a_step_is_equations_16_and_8_bit_for_bit(round_):
    messages = WORLD.messages(WORLD.chain_id, round_)
    after = steps()(start(), messages)
    by_equations = by_hand(messages, [m.norm for m in messages], [True] * 4, round_)
    assert after.weights.tolist() == by_equations
    assert after.memory == {}


def test_the_nearest_messages_are_used_with_their_norms_cut_at_the_median():
    messages = WORLD.messages(WORLD.chain_id, 1)
    outcome = steps(NEAREST).outcome(start(), messages)
    assert outcome.aggregate.used.sum() == 3
    assert outcome.aggregate.cosines[~outcome.aggregate.used] == outcome.aggregate.cosines.min()
    middle = sorted(m.norm for m in messages)[1:3]
    cut = [min(m.norm, sum(middle) / 2) for m in messages]
    expected = by_hand(messages, cut, outcome.aggregate.used.tolist(), 1)
    assert outcome.state.weights.tolist() == expected


def test_float32_weights_are_computed_in_float64_and_rounded_once():
    messages = WORLD.messages(WORLD.chain_id, 1)
    narrow = steps(dtype="float32")(start("float32"), messages).weights
    wide = steps()(State(start("float32").weights.astype(np.float64), {}), messages).weights
    assert narrow.dtype == np.float32
    assert narrow.tolist() == wide.astype(np.float32).tolist()


def test_what_a_step_gives_cannot_be_changed():
    after = steps()(start(), WORLD.messages(WORLD.chain_id, 1))
    with pytest.raises(ValueError, match="read-only"):
        after.weights[0] = 0.0


def test_one_message_more_or_less_is_another_step():
    one, messages = steps(), WORLD.messages(WORLD.chain_id, 1)
    assert one(start(), messages).weights.tolist() != one(start(), messages[1:]).weights.tolist()


def test_a_step_is_computed_once_and_forgotten_when_it_is_old(monkeypatch):
    monkeypatch.setattr(transition, "FEWEST", 1)
    monkeypatch.setattr(transition, "MOST", 2)
    one, messages = steps(), WORLD.messages(WORLD.chain_id, 1)
    first = one.outcome(start(), messages)
    assert one.outcome(start(), messages) is first
    for count in (1, 2, 3):
        one.outcome(start(), messages[:count])
    again = one.outcome(start(), messages)
    assert again is not first
    assert again.state.weights.tolist() == first.state.weights.tolist()


def test_the_signature_is_no_part_of_the_step():
    one, messages = steps(), WORLD.messages(WORLD.chain_id, 1)
    unsigned = tuple(replace(m, signature=bytes(64)) for m in messages)
    assert [m.id for m in unsigned] == [m.id for m in messages]
    assert one.outcome(start(), unsigned) is one.outcome(start(), messages)


def test_a_block_without_messages_changes_nothing():
    made, before = steps(), start()
    assert made(before, ()) is before
    assert made.outcome(before, ()).aggregate.used.shape == (0,)


def test_a_rule_of_ones_own_gets_the_directions_as_one_matrix_if_it_asks(tmp_path, monkeypatch):
    (tmp_path / "own_lab.py").write_text(
        "import numpy as np\n"
        "from fedchain.aggregation import Aggregate, agreement_of, scaled\n"
        "def midrange(received, *, scale: str = 'restore'):\n"
        "    norms = received.norms\n"
        "    rows = np.asarray(received.directions) * scaled(norms, scale)[:, None]\n"
        "    middle = (rows.min(axis=0) + rows.max(axis=0)) / 2.0 / 2.0**20\n"
        "    shares, reasons = np.full(len(norms), 1 / len(norms)), ('',) * len(norms)\n"
        "    cosines = agreement_of(received.directions).cosines\n"
        "    return Aggregate(middle, cosines, shares, reasons)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    messages = WORLD.messages(WORLD.chain_id, 1)
    got = steps('{"kind":"own_lab:midrange"}', trust=True).outcome(start(), messages).aggregate
    for place in range(D):
        values = [int(m.direction[place]) * m.norm / 2**m.exponent for m in messages]
        assert got.gradient[place] == (min(values) + max(values)) / 2.0


REMEMBERING = """
import numpy as np
from fedchain.aggregation import Received, aggregations
from fedchain.aggregation.weights import mean_of_used
from fedchain.update import Updated

def counts(received):
    used, seen = received.norms > 0, received.memory.get("seen", np.zeros(1))
    made = mean_of_used(received, used, received.norms, scale="restore", weights="records")
    assert set(received.memory) <= {"seen"}, set(received.memory)
    return type(made)(
        made.gradient, made.cosines, made.shares, made.reasons, {"seen": seen + received.records}
    )

def watches(weights, memory, gradient, round_):
    assert set(memory) <= {"seen"}, set(memory)
    return Updated(weights - gradient, {"seen": memory.get("seen", np.zeros(1)) - 1.0})
"""


def test_rule_and_update_each_keep_a_memory_that_the_other_does_not_see(tmp_path, monkeypatch):
    (tmp_path / "remembering_lab.py").write_text(REMEMBERING)
    monkeypatch.syspath_prepend(str(tmp_path))
    made = steps(
        '{"kind":"remembering_lab:counts"}', '{"kind":"remembering_lab:watches"}', trust=True
    )
    records = [float(m.declaration.records) for m in WORLD.messages(WORLD.chain_id, 1)]
    first = made(start(), WORLD.messages(WORLD.chain_id, 1))
    second = made(first, WORLD.messages(WORLD.chain_id, 2))
    assert {k: v.tolist() for k, v in second.memory.items()} == {
        "seen": [-2.0],
        "rule/seen": [2 * n for n in records],
    }
    assert first.memory_hash != second.memory_hash
    assert not second.memory["rule/seen"].flags.writeable
    assert made(second, ()) is second


def test_a_rule_without_a_memory_leaves_nothing_of_an_earlier_one():
    before = State(start().weights, {"rule/seen": np.ones(1), "momentum": np.ones(D)})
    after = steps(update='{"kind":"momentum","learning_rate":0.1}')(
        before, WORLD.messages(WORLD.chain_id, 1)
    )
    assert set(after.memory) == {"momentum"}


def test_messages_are_weighted_by_the_records_that_they_declare():
    one, *others = WORLD.messages(WORLD.chain_id, 1)
    counts = [5, 1, 2, 7]
    pairs = zip((one, *others), counts, strict=True)
    messages = tuple(replace(m, declaration=replace(m.declaration, records=n)) for m, n in pairs)
    aggregate = steps('{"kind":"mean","weights":"records"}').outcome(start(), messages).aggregate
    assert aggregate.shares.tolist() == [n / 15 for n in counts]


@pytest.mark.parametrize("weights", ['"records"', '{"cap":"median","kind":"records"}'])
def test_no_chain_with_open_identities_weights_messages_by_records(weights):
    text = '{"kind":"mean","weights":' + weights + "}"
    with pytest.raises(LedgerError, match="must be equal where identities are open"):
        steps(text, identity="open")
    steps('{"kind":"mean","weights":"equal"}', identity="open")
    steps(text)


def test_too_few_messages_for_the_rule_make_no_step():
    krum = '{"byzantine":1,"keep":1,"kind":"krum","scale":"restore"}'
    with pytest.raises(ValueError, match="krum: got 4 messages; byzantine: 1 needs at least 5"):
        steps(krum)(start(), WORLD.messages(WORLD.chain_id, 1))


@pytest.mark.parametrize(("quorum", "enough"), [(6, False), (7, True)])
def test_a_rule_must_be_able_to_work_with_the_quorum(quorum, enough):
    krum = '{"byzantine":2,"keep":1,"kind":"krum","scale":"restore"}'
    rules = replace(WORLD.rules, aggregation=krum, holders=9, quorum=quorum)
    if enough:
        check_quorum(rules)
    else:
        with pytest.raises(ValueError, match=r"quorum of the ledger: krum: got 6 .* at least 7"):
            check_quorum(rules)


def test_a_rule_must_be_able_to_work_with_all_who_are_asked():
    krum = '{"byzantine":2,"keep":1,"kind":"krum","scale":"restore"}'
    rules = replace(WORLD.rules, aggregation=krum, holders=8193, quorum=7)
    with pytest.raises(ValueError, match=r"if all who are asked send: krum: got 8193 .* 8192"):
        check_quorum(rules)


@pytest.mark.parametrize("depth", [9, 200, 900, 2500])
def test_updates_that_stand_around_each_other_without_end_are_refused(depth):
    with pytest.raises(LedgerError, match=r"update: (is nested too deeply|.* around itself)"):
        steps(update='{"kind":"averaged","of":' * depth + DESCENT + "}" * depth)


def test_rules_may_stand_beside_each_other_but_not_around_themselves():
    nnm = '{"kind":"nnm"}'
    beside = '{"kind":"mean","weights":{"cap":null,"kind":"records"}}'
    dnc = f'{{"first":[{nnm},{nnm}],"kind":"dnc"}}'
    inner = f"[{beside},{beside},{dnc},{dnc}]"
    steps(f'{{"kind":"average_of","rules":{inner}}}')(start(), WORLD.messages(WORLD.chain_id, 1))
    with pytest.raises(LedgerError, match="'average_of' stands around itself"):
        steps(f'{{"kind":"average_of","rules":[{{"kind":"average_of","rules":{inner}}}]}}')


def test_rules_inside_a_rule_are_not_weighted_by_records_where_identities_are_open():
    inner = '{"kind":"mean","weights":"records"}'
    rule = f'{{"kind":"average_of","rules":[{{"kind":"median"}},{inner}]}}'
    words = r"aggregation\.rules\[1\]\.weights: must be equal where identities are open"
    with pytest.raises(LedgerError, match=words):
        Steps(replace(WORLD.rules, aggregation=rule, identity="open"))


def test_the_model_is_the_average_where_there_is_one():
    made = steps(update='{"decay":0.5,"from_round":2,"kind":"averaged","of":' + DESCENT + "}")
    first = made(start(), WORLD.messages(WORLD.chain_id, 1))
    assert model_of(first) is first.weights
    second = made(first, WORLD.messages(WORLD.chain_id, 2))
    third = made(second, WORLD.messages(WORLD.chain_id, 3))
    assert model_of(second).tolist() == second.weights.tolist()
    middle = second.weights + 0.5 * (third.weights - second.weights)
    assert model_of(third).tolist() == middle.tolist() != third.weights.tolist()


@pytest.mark.parametrize(
    ("where", "around"),
    [("aggregation", "{}"), ("update", "{}"), ("update", '{{"kind":"averaged","of":{}}}')],
)
def test_code_of_somebodys_own_is_not_imported_unless_it_is_trusted(
    where, around, tmp_path, monkeypatch
):
    (tmp_path / "their_lab.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    theirs = {where: around.format('{"kind":"their_lab:rule"}')}
    with pytest.raises(RunError, match="trust-user-parts"):
        steps(**theirs)
    assert "their_lab" not in sys.modules
    with pytest.raises(SystemExit, match="imported"):
        steps(trust=True, **theirs)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"keep":3,"kind":"l_neares"}', ScenarioError),
        ('{"kind":"l_nearest"}', ScenarioError),
        ('{"keep":0,"kind":"l_nearest"}', ScenarioError),
        ('{"kind":["l_nearest"]}', LedgerError),
        ('{"keep":3.0,"kind":"l_nearest"}', LedgerError),
        ('{"keep":9007199254740994,"kind":"l_nearest"}', ScenarioError),
        ("[]", ScenarioError),
        ("7", ScenarioError),
        ("{", LedgerError),
        ("[" * 60_000, LedgerError),
    ],
)
def test_rules_that_name_no_step_are_refused(text, error):
    with pytest.raises(error):
        steps(aggregation=text)
