from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from operator import attrgetter

import pytest
from ledger_world import declared, make_world

from fedchain.errors import InvalidMessage
from fedchain.ledger.chain import verdict_cache as libraries
from fedchain.ledger.chain.message import Message, decode_message, encode_message
from fedchain.ledger.chain.verdict_cache import VerdictCache

WORLD = make_world()
PARENT = WORLD.chain_id


@pytest.fixture
def library_of():
    """Makes libraries with threads, which end with the test."""
    with ExitStack() as stack:
        yield lambda threads: stack.enter_context(closing(VerdictCache(threads=threads)))


def good_and_bad() -> list[Message]:
    made = [WORLD.message(holder, PARENT, 1, salt=salt) for holder in range(4) for salt in range(3)]
    first = made[0]
    return [
        *made,
        WORLD.message(1, PARENT, 1, norm=math.nan),
        WORLD.message(2, PARENT, 1, norm=1e9),
        WORLD.message(3, PARENT, 1, declaration=declared(mechanism="")),
        WORLD.message(3, PARENT, 1, dimension=11),
        WORLD.message(3, PARENT, 1, proof=first.proof),
        WORLD.message(2, PARENT, 2),
        replace(first, signature=bytes(64)),
        replace(first, norm=first.norm / 2),
        replace(first, direction=made[1].direction),
        replace(first, round=-1),
        replace(first, public_key=b"short"),
        replace(first, signature=b""),
    ]


def asked(
    verdict_cache: VerdictCache, message: Message, parent: bytes = PARENT, height: int = 1
) -> str:
    try:
        verdict_cache.check_message(message, WORLD.rules, WORLD.chain_id, parent, height)
    except InvalidMessage as error:
        return str(error)
    return ""


def ahead(verdict_cache: VerdictCache, *messages: Message) -> None:
    verdict_cache.check_ahead(messages, WORLD.rules, WORLD.chain_id)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_what_is_said_of_a_message_does_not_depend_on_who_checked_it(library_of, threads):
    expected = [asked(VerdictCache(), message) for message in good_and_bad()]
    assert expected.count("") == 12
    assert len(set(expected)) == 13
    for attempt in range(15):
        verdict_cache, made = library_of(threads), good_and_bad()
        order = made[attempt:] + made[:attempt]
        ahead(verdict_cache, *order[attempt % 3 :])
        for _ in range(2):
            assert [asked(verdict_cache, message) for message in made] == expected
        assert not [
            release for release in verdict_cache._ahead if release in verdict_cache._verdicts._held
        ]


def test_a_message_checked_ahead_is_checked_once_by_another_thread(library_of, monkeypatch):
    threads, began = [], threading.Event()

    def noted(*arguments):
        threads.append(threading.current_thread())
        began.set()

    monkeypatch.setattr(libraries, "check_message", noted)
    verdict_cache, message = library_of(1), WORLD.message(0, PARENT, 1)
    ahead(verdict_cache, message, message)
    assert began.wait(60)
    for _ in range(3):
        assert asked(verdict_cache, message) == ""
        ahead(verdict_cache, message)
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()


def test_a_verdict_that_is_not_there_yet_is_waited_for(library_of, monkeypatch):
    began, gate = threading.Event(), threading.Event()

    def slow(*arguments):
        began.set()
        gate.wait(60)
        raise InvalidMessage("norm: is wrong")

    monkeypatch.setattr(libraries, "check_message", slow)
    verdict_cache, message = library_of(1), WORLD.message(0, PARENT, 1)
    ahead(verdict_cache, message)
    assert began.wait(60)
    with ThreadPoolExecutor(1) as other:
        answer = other.submit(asked, verdict_cache, message)
        assert not answer.done()
        gate.set()
        assert answer.result(10) == "norm: is wrong"


def test_who_asks_checks_himself_what_no_thread_has_come_to(library_of, monkeypatch):
    began, gate, check = threading.Event(), threading.Event(), libraries.check_message

    def slow_for_threads(*arguments):
        if threading.current_thread() is not threading.main_thread():
            began.set()
            gate.wait(60)
        check(*arguments)

    monkeypatch.setattr(libraries, "check_message", slow_for_threads)
    verdict_cache, made = library_of(1), good_and_bad()
    ahead(verdict_cache, *made[:6])
    assert began.wait(60)
    assert [asked(verdict_cache, message) for message in made[1:6]] == [""] * 5
    gate.set()
    assert asked(verdict_cache, made[0]) == ""


def test_a_verdict_is_for_the_place_that_was_checked(library_of):
    verdict_cache, message = library_of(1), WORLD.message(0, PARENT, 1)
    ahead(verdict_cache, message)
    assert "parent: is" in asked(verdict_cache, message, b"f" * 32)
    assert "round: is 1; must be 2" in asked(verdict_cache, message, PARENT, 2)
    assert asked(verdict_cache, message) == ""


def test_a_forged_copy_of_a_message_checked_ahead_is_refused(library_of):
    verdict_cache, message = library_of(1), WORLD.message(0, PARENT, 1)
    ahead(verdict_cache, message)
    assert "signature" in asked(verdict_cache, replace(message, signature=bytes(64)))
    assert asked(verdict_cache, message) == ""


def test_messages_that_nobody_asks_for_are_forgotten(library_of, monkeypatch):
    monkeypatch.setattr(libraries, "KEPT_AHEAD", 5)
    verdict_cache, made = library_of(1), good_and_bad()[:12]
    ahead(verdict_cache, *made)
    assert len(verdict_cache._ahead) == 5
    assert [asked(verdict_cache, message) for message in made] == [""] * 12
    assert len(verdict_cache._ahead) == 0


def test_an_error_in_the_check_itself_reaches_who_asks(library_of, monkeypatch):
    monkeypatch.setattr(libraries, "check_message", lambda *_: 1 // 0)
    verdict_cache, message = library_of(1), WORLD.message(0, PARENT, 1)
    ahead(verdict_cache, message)
    with pytest.raises(ZeroDivisionError):
        asked(verdict_cache, message)


def test_hashes_computed_in_many_threads_are_those_of_one():
    data = [encode_message(message) for message in good_and_bad()[:12]]
    limits = WORLD.rules.limits
    hashes = tuple(map(attrgetter, ("payload", "id", "content")))
    expected = [[hash_of(decode_message(each, limits)) for hash_of in hashes] for each in data]
    with ThreadPoolExecutor(4) as threads:
        for _ in range(20):
            made = [decode_message(each, limits) for each in data]
            for hash_of, column in zip(hashes, zip(*expected, strict=True), strict=True):
                asks = [threads.submit(hash_of, message) for message in made * 3]
                assert [ask.result() for ask in asks] == list(column) * 3


def test_a_closed_library_checks_nothing_ahead_and_says_the_same(library_of):
    verdict_cache, made = library_of(2), good_and_bad()
    ahead(verdict_cache, *made)
    verdict_cache.close()
    ahead(verdict_cache, *made)
    assert [asked(verdict_cache, message) for message in made] == [
        asked(VerdictCache(), m) for m in made
    ]
