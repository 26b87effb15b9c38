"""Rows of a verdict: what the checks of ledger, genesis and play have shown, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fedchain.agreement import differing
from fedchain.checks.play import Played
from fedchain.checks.replay import Replay
from fedchain.checks.verdict import FAILED, OK, PROVENANCE, UNCHECKED, Checked
from fedchain.ledger.chain.block import Block
from fedchain.ledger.chain.rules import Rules
from fedchain.ledger.tools.verification import Verification
from fedchain.results import EVENTS, OVER, STOPPED
from fedchain.results.folder import MANIFEST
from fedchain.runs.genesis import HIDDEN
from fedchain.scenario import changes_since
from fedchain.scenario.provenance import Provenance
from fedchain.simulation.setup import RunSetup

NOT_REPLAYED = (
    "whether the messages are what data and seed give, and with it who attacks; whoever knows the "
    "seed can sign others: --replay computes each of them again"
)
MEASURED_ONCE = (
    "times, memory, versions and machine in manifest.json and in the columns seconds_..: they were "
    "measured where the run was made"
)


def of_ledger(found: Verification) -> Iterator[Checked]:
    """Yield what the check of the ledger alone has shown."""
    if not found.ok:
        yield Checked("ledger", FAILED, str(found))
        return
    words = "bytes, hashes, links, signatures, identities and declarations; every model computed"
    yield Checked("ledger", OK, f"{found.blocks} blocks: {words} again with the same bits")
    for each in found.unchecked:
        yield Checked("work" if each.startswith("work") else "steps", UNCHECKED, each)


def of_provenance(stated: Mapping[str, Any], now: Provenance) -> Checked:
    """Check that code, data and fedchain are those that a manifest states.

    The manifest alone says what they were, so a difference proves no tampering, nor excludes it.
    """
    changes = changes_since(stated, now)
    if not changes:
        words = f"your own code, data files and fedchain are those of the run, says {MANIFEST}"
        return Checked(PROVENANCE, OK, words)
    words = f"{MANIFEST} says that the run was made with others ({'; '.join(changes)})"
    return Checked(PROVENANCE, UNCHECKED, f"{words}: put them back, and verify again")


def of_chain_alone(found: Verification) -> Iterator[Checked]:
    """Yield what a chain without a run folder does not show."""
    words = f"the chain ends at height {found.height}; its genesis asks for {found.rounds} rounds"
    whole = found.height == found.rounds
    yield Checked("rounds", OK if whole else UNCHECKED, words + ("" if whole else f", and {_WHY}"))
    words = f"whatever is beside this chain: without {MANIFEST} it is no run, and nothing is read"
    yield Checked("run", UNCHECKED, words)


_WHY = f"no {MANIFEST} says why it ends there: blocks may have been cut off"


def of_genesis(
    rules: Rules, there: Block, setup: RunSetup, *, lacks_secret: bool, elsewhere: Sequence[str]
) -> Checked:
    """Check a ledger's genesis block against that of the setup.

    ``elsewhere`` has the keys of the manifest that name another machine or other versions. If there
    are any, rounding may explain other weights, another commitment or other identities.
    """
    here = setup.genesis
    if there == here:
        words = "first weights, registered records, identities and commitment follow from scenario"
        return Checked("genesis", OK, f"{words}, data and {'secret' if setup.hidden else 'seed'}")
    keys = sorted(key for key, *_ in differing(rules, setup.rules))
    states = ((b.header.weights_hash, b.header.memory_hash) for b in (there, here))
    if lacks_secret and HIDDEN.issuperset(keys) and len(set(states)) == 1:
        words = "first weights and registered records follow; commitment and identities show only"
        return Checked("genesis", UNCHECKED, f"{words} with the run's secret (--secret FILE)")
    names = there.header.hash.hex()[:8], here.header.hash.hex()[:8]
    words = f"genesis: is {names[0]}, where scenario, data and seed give {names[1]} here"
    words += f" ({', '.join(keys) or 'first weights'}): another seed, secret or data"
    if HIDDEN.issuperset(keys) and elsewhere:
        why = f"or the rounding of another machine: the run states other {', '.join(elsewhere)}"
        return Checked("genesis", UNCHECKED, f"{words}, {why}")
    return Checked("genesis", FAILED, words)


def of_rounds(found: Verification, manifest: Mapping[str, Any], played: Played | None) -> Checked:
    """Check that a ledger ends where its scenario ends."""
    status, stated = str(manifest.get("status")), manifest.get("head")
    words = f"{found.height} of {found.rounds} rounds"
    if status not in OVER:
        text = f"{words}: the run has not ended, says {MANIFEST} ({status:.40})"
        return Checked("rounds", UNCHECKED, f"{text}; what follows is not known")
    if found.block != (stated or found.block):
        text = f"head: {MANIFEST} names {str(stated)[:8]}, the ledger {found.block[:8]}"
        return Checked("rounds", FAILED, text)
    if status == "finished" and found.height < found.rounds:
        text = f"{words}: {MANIFEST} says finished, so blocks were cut off"
        return Checked("rounds", FAILED, text)
    if played is None or not played.status:
        if status == "finished":
            return Checked("rounds", OK, words)
        text = f"{words}: {status}, and whether the scenario ends there was not seen"
        return Checked("rounds", UNCHECKED, text)
    if (played.head, played.status) != (found.block, status):
        text = f"played again, the scenario ends at {played.head[:8]}, {played.status}"
        return Checked("rounds", FAILED, f"{words}, head {found.block[:8]}, {status}: {text}")
    if status == STOPPED:
        why = f"{words}: a callback stopped the run, says {MANIFEST}"
        return Checked("rounds", UNCHECKED, f"{why}; or blocks may have been cut off")
    return Checked("rounds", OK, f"{words}, {status}; played again, the scenario ends at this head")


def of_events(played: Played, over: bool, below: int) -> Checked:
    """Check that a play made the events of the folder.

    ``over`` says whether the run has ended. The ledger has no directions below the height
    ``below``.
    """
    if played.lacking:
        words = f"played again, the scenario makes {played.lacking}"
        if over and not below:
            why = "blocks were cut off or replaced"
            return Checked("events", FAILED, f"{EVENTS}: {words}: {why}")
        why = "the run was killed before its last blocks were on disk"
        if below:
            why = "directions were not kept, so messages were computed again; another machine "
            why += "rounds otherwise, and makes other blocks"
        return Checked("events", UNCHECKED, f"{played.events} events follow; then {words}: {why}")
    if played.fault:
        words = f"the play fails at height {played.height}: {played.fault}"
        return Checked("events", FAILED, f"{EVENTS}: {words}")
    if played.wrong:
        return Checked("events", FAILED, played.wrong)
    words = "who sent what, which block has it, what the rule used, epsilon, refusals, heads"
    late = f"; {played.elsewhere} messages that no block has are rounded otherwise here"
    more = late if played.elsewhere else ""
    return Checked("events", OK, f"{played.events} events follow: {words}{more}")


def of_metrics(played: Played, wanted: bool) -> Checked:
    """Check that the metrics of a run are those of the models in its blocks.

    ``wanted`` says whether the models were measured again.
    """
    if not wanted:
        words = "the models were not measured again (--no-metrics)"
        return Checked("metrics", UNCHECKED, words)
    if played.unlike:
        return Checked("metrics", FAILED, f"{played.unlike}, measured on the held-out records")
    words = f"{played.measured} models measured on the held-out records"
    if played.largest:
        words += f"; the largest difference is {played.largest:.2g}, as rounding makes it"
    return Checked("metrics", OK, words)


def of_messages(replay: Replay) -> Checked:
    """Check that the messages equal those computed again from the scenario, data and secret."""
    many = f"{replay.equal} of {replay.compared} messages"
    if replay.wrong:
        words = "which is not what data and seed give; rounding on another machine moves entries"
        words += f" by one step of their integers at most. {many} are equal, bit for bit"
        return Checked("messages", FAILED, f"{replay.wrong}, {words}")
    if not replay.everything:
        return Checked("messages", UNCHECKED, NOT_REPLAYED)
    if replay.equal == replay.compared:
        words = f"all {replay.compared} are what data, weights and seed give, bit for bit, here"
        return Checked("messages", OK, words)
    words = f"{many} are equal, bit for bit; the others are at most {replay.farthest:.2g} of their"
    words += f" length away (cosine {replay.least_cosine:.9f}), first {replay.first}: another"
    return Checked("messages", OK, f"{words} processor or library rounds so")
