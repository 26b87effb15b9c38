from __future__ import annotations

import pytest

from fedchain.nodes.holders.identity import RoundKey
from fedchain.nodes.holders.release import ReleaseContext, ReleaseRequest
from fedchain.simulation.release_service import KEPT_PARENTS, Cohort


def asked(holder: int, parent: bytes = b"ab") -> ReleaseRequest:
    return ReleaseRequest(
        ReleaseContext(secret=bytes(32), chain_id=b"chain", parent=parent, round=1, holder=holder),
        RoundKey(b"", b"", None),
    )


@pytest.fixture
def calls() -> list[tuple[bytes, list[int]]]:
    return []


@pytest.fixture
def cohort(calls) -> Cohort:
    def ask(parent, group):
        calls.append((parent, [each.context.holder for each in group]))
        return [b"%s says %d" % (parent, each.context.holder) for each in group]

    return Cohort(ask)


def test_holders_at_one_block_are_asked_together_and_once(cohort, calls):
    for holder in (3, 1, 2):
        cohort.expect(asked(holder))
    assert [cohort.message(asked(k)) for k in (2, 1, 3)] == [b"ab says %d" % k for k in (2, 1, 3)]
    assert calls == [(b"ab", [1, 2, 3])]


def test_who_begins_after_the_first_has_spoken_is_asked_with_the_next(cohort, calls):
    cohort.expect(asked(1))
    cohort.message(asked(1))
    for holder in (4, 2):
        cohort.expect(asked(holder))
    assert cohort.message(asked(4)) == b"ab says 4"
    assert calls == [(b"ab", [1]), (b"ab", [2, 4])]


def test_who_is_asked_together_does_not_depend_on_what_is_known_already(cohort, calls):
    for holder in (1, 2):
        cohort.expect(asked(holder))
    cohort.close(asked(1))  # the ledger has what holder 1 said
    cohort.expect(asked(3))
    cohort.message(asked(2))
    cohort.message(asked(3))
    assert calls == [(b"ab", [1, 2]), (b"ab", [3])]


def test_who_is_asked_again_says_the_same_in_the_same_company(cohort, calls):
    for holder in (1, 2):
        cohort.expect(asked(holder))
    assert cohort.message(asked(1)) == cohort.message(asked(1))
    assert calls == [(b"ab", [1, 2])] * 2


def test_a_parent_that_many_forks_pushed_out_is_asked_for_alone(cohort, calls):
    parents = [b"%02d" % number for number in range(3 * KEPT_PARENTS)]
    for parent in parents:
        cohort.expect(asked(1, parent))
        cohort.expect(asked(2, parent))
    for parent in reversed(parents):
        assert cohort.message(asked(1, parent)) == parent + b" says 1"
    assert calls[0] == (parents[-1], [1, 2])
    assert calls[-1] == (parents[0], [1])
