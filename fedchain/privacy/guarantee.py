"""Guarantee: the text on what a run promises, under which conditions and with which limits."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fedchain.privacy.local_steps import releases_in_message
from fedchain.privacy.mechanisms import Mechanism, Terms

if TYPE_CHECKING:
    from fedchain.scenario import Groups, Local, Momentum


def guarantee(
    mechanism: Mechanism,
    releases: int,
    record: str = "row",
    *,
    sampled: bool = False,
    groups: Groups | None = None,
    hidden: bool = False,
    momentum: Momentum | None = None,
    local: Local | None = None,
) -> str:
    """Return a text that says what a run promises, against whom, and under which conditions.

    Args:
        mechanism: the mechanism of every honest holder.
        releases: the largest number of releases of one holder, including those on forks.
        record: a word for one record: ``row``, ``scan``, ``tile``.
        sampled: whether a round asks only some of the holders.
        groups: the groups in which holders share their noise; None if each holder adds its own.
        hidden: whether the noise comes from a secret file outside the run folder.
        momentum: the running mean that participants send; None if they send each release.
        local: the local training of the holders; None if a message holds one gradient.

    >>> from fedchain.privacy.mechanisms import none
    >>> guarantee(none(10, 5), 10)
    'no privacy is promised: gradients are published without noise'
    """
    terms = mechanism.terms
    if mechanism.noise_multiplier == 0:
        clipped = "" if math.isinf(terms.clip) else "clipped, but "
        words = f"no privacy is promised: gradients are published {clipped}without noise"
        return f"{words}. {_describe_momentum(momentum, noisy=False)}".rstrip(". ")
    whole = terms.unit == "holder"
    subject = "honest data holder as a whole" if whole else f"{record} of an honest data holder"
    # A mean gradient is divided by the number of records that the holder has, which is public, and
    # a missing message is noticed. Neighbours therefore differ only in whether a gradient is zero.
    fixed = "that it takes part" if whole else f"the number of {record}s"
    other = "its data are replaced by others" if whole else f"one {record} is replaced by another"
    epsilon, delta = replaced(mechanism, releases)
    counted = ", and there or left out in the counts that move the clip"
    neighbour = (
        f"its gradient there or zero{counted if terms.clip_quantile else ''} "
        f"({fixed} is not hidden; where {other}, it is "
        f"({epsilon:.4g}, {delta:.4g})-differentially private)"
    )
    others = "the data of holders who deviate from the protocol"
    outside = others if whole else f"a data holder as a whole, nor {others}"
    asked = "Who is asked in a round is public, so that sampling amplifies nothing. "
    drawn = (
        f"Each {record} takes part in a release with chance {terms.sampling_rate:g}, drawn by its "
        "holder in secret: the figures count on it. "
    )
    return (
        f"each {subject} is ({mechanism.epsilon_after(releases):.4g}, {terms.delta:g})-"
        f"differentially private, {neighbour}, against {_describe_readers(groups)}, over "
        f"the {releases} releases of the {'group' if groups else 'holder'} that made the most. "
        f"{asked if sampled else ''}{drawn if terms.sampling_rate < 1 else ''}"
        f"{_describe_local(mechanism, local)}{_describe_sharing(groups)}"
        f"{_describe_momentum(momentum)}"
        f"Epsilon is {figures(mechanism, releases)}: only the tight total counts. "
        f"It holds if the holder {_describe_clipping(terms)} and added {mechanism.name} noise "
        f"as declared, its number of {record}s is public, and the seed of its noise stays secret: "
        f"{_describe_seed(mechanism, hidden)}. It does not protect {outside}; the metrics of the "
        "simulator are outside of it"
    )


def replaced(mechanism: Mechanism, releases: int) -> tuple[float, float]:
    """Return the epsilon and delta that hold if one record is replaced by another.

    If all records take part and the mechanism is fedchain's own, epsilon is computed for half the
    noise multiplier. Otherwise the result is the bound (2 epsilon, (1 + e^epsilon) delta), with the
    mechanism's total epsilon.

    >>> from fedchain.privacy.mechanisms import gaussian
    >>> made = gaussian(9, 5, epsilon=1.0, clip=0.1, spare_releases=1)
    >>> [round(value, 5) for value in replaced(made, 10)]
    [2.15468, 1e-05]
    """
    # A record that is replaced moves the sum by at most twice the clip. The bound takes two steps:
    # from one record to zero, and from zero to the other.
    delta, halved = mechanism.terms.delta, with_noise(mechanism, mechanism.noise_multiplier / 2)
    if halved is not None and mechanism.terms.sampling_rate == 1:
        return halved.epsilon_after(releases), delta
    epsilon = mechanism.epsilon_after(releases)
    return 2 * epsilon, min(1.0, delta * (1 + math.exp(min(epsilon, 700.0))))


def with_noise(mechanism: Mechanism, multiplier: float, **others: object) -> Mechanism | None:
    """Return a mechanism of fedchain with another noise multiplier; None for a user-defined one.

    ``others`` are further fields to change.
    """
    # What determines the epsilon of a user-defined mechanism is not known.
    if not type(mechanism).__module__.startswith("fedchain."):
        return None
    dataclass: Any = mechanism
    made: Mechanism = replace(dataclass, noise_multiplier=multiplier, **others)
    return made


def outnumbered(
    mechanism: Mechanism, releases: int, groups: Groups | None, attackers: Collection[int]
) -> list[str]:
    """Return a warning if attackers leave a group with fewer honest members than the noise needs.

    The list is empty if every group has enough. ``attackers`` are the ids of all holders that
    attack in some round.
    """
    if groups is None or not attackers or mechanism.noise_multiplier == 0:
        return []
    by_group = Counter(holder // groups.size for holder in attackers)
    group, most = max(by_group.items(), key=lambda item: item[1])
    left, assumed = groups.size - most, groups.honest_members
    if left >= assumed:
        return []
    counted, epsilon = left - groups.dropouts, math.inf
    if counted > 0:
        noise = mechanism.noise_multiplier * math.sqrt(counted / groups.counted_on)
        weaker = with_noise(mechanism, noise, shares=counted)
        epsilon = math.nan if weaker is None else weaker.epsilon_after(releases)
    true = "larger" if math.isnan(epsilon) else f"{epsilon:.4g}"
    return [
        f"nodes.groups.honest: {groups.honest:g} assumes {assumed} honest members in every group, "
        f"but attackers leave {left} of {groups.size} in group {group}: epsilon of its members is "
        f"{true}, not {mechanism.epsilon_after(releases):.4g}; assume {left}"
    ]


def figures(mechanism: Mechanism, releases: int) -> str:
    """Return a text with three epsilons of a run: one release, pure total and tight total.

    >>> from fedchain.privacy.mechanisms import gaussian
    >>> figures(gaussian(10, 5, noise_multiplier=5.0, clip=0.1), 12)
    '0.7255 per release (at delta), no pure total, tight total 2.876 at delta 1e-05'
    """
    if mechanism.noise_multiplier == 0:
        return "infinite, since nothing is hidden"
    single, total = mechanism.epsilon_per_release, mechanism.epsilon_after(releases)
    tight = f"tight total {total:.4g} at delta {mechanism.terms.delta:g}"
    if mechanism.pure_total is None:
        return f"{single:.4g} per release (at delta), no pure total, {tight}"
    return f"{single:.4g} per release (pure), pure total {single * releases:.4g}, {tight}"


def _describe_readers(groups: Groups | None) -> str:
    readers = "anyone who reads every message of the run, included in a block or not"
    if groups is None:
        return readers
    colluding = groups.size - groups.honest_members
    others = f" and up to {colluding} of the other members of its group" if colluding else ""
    return f"{readers}: compute nodes, readers of the chain, the assembler of its group{others}"


def _describe_sharing(groups: Groups | None) -> str:
    """Return the text on what the guarantee of a group assumes."""
    if groups is None:
        return ""
    return (
        f"Holders speak in groups of {groups.size}, of which only the sum is seen. The noise is "
        f"shared: it suffices if {groups.honest_members} members of the group are honest, "
        f"{groups.dropouts} of whom may be lost, so that {groups.counted_on} of them carry it; "
        "fewer honest ones, and the guarantee is weaker. No holder is protected by noise of its "
        "own alone: the assembler must name the same members to all, and the masks (X25519, "
        "AES-256) must hold. "
    )


def _describe_local(mechanism: Mechanism, local: Local | None) -> str:
    """Return the text on which local steps are releases."""
    if local is None:
        return ""
    if releases_in_message(mechanism, local) == 1:
        return f"The sum of the {local.steps} local steps of a message is one release. "
    return (
        f"Each of the {local.steps} local steps of a message is a release: its gradients are "
        "clipped and get noise of their own before the holder moves. "
    )


def _describe_momentum(momentum: Momentum | None, *, noisy: bool = True) -> str:
    """Return the text on the privacy cost of momentum, and on what it reveals."""
    if momentum is None:
        return ""
    kept = "" if momentum.beta is None else f" (beta {momentum.beta:g})"
    free = (
        ": each is computed from its release, which has its noise, and from the message before it, "
        "which is published, so that momentum is post-processing and costs no epsilon. But "
    )
    return (
        f"Messages are running means of releases, kind {momentum.kind}{kept}"
        f"{free if noisy else ': '}successive messages of one sender become nearly parallel: "
        "whoever reads the chain can link its pseudonyms. "
    )


def _describe_clipping(terms: Terms) -> str:
    if terms.automatic:
        return "divided each gradient by its norm + 0.01, which leaves a norm below 1,"
    if terms.clip_quantile is None:
        return f"clipped to {terms.clip:g}"
    return (
        f"clipped to {terms.clip:g} at first, later by the noisy count of the norms below the "
        "clip, which the figures contain,"
    )


def _describe_seed(mechanism: Mechanism, hidden: bool) -> str:
    """Return the text on the secrecy of the seed, and on floating-point arithmetic."""
    drawn = "" if mechanism.group_noise else "and draws its noise "
    parts = f"sums its gradients {drawn}in floating point"
    if not hidden:
        return f"a simulation publishes its seed, {parts}, so that its own files protect nobody"
    return (
        f"it is in a file of the user's own and not among those of the run, which {parts}. Events "
        "and tables name the holder of every message: what may be published is the chain"
    )


def unprotected(public: int, record: str, scans: Sequence[str] = ()) -> list[str]:
    """Return sentences on public records and public scans, which no guarantee covers.

    ``scans`` has the names of the scans with which records are compared.

    >>> unprotected(0, "row")
    []
    """
    texts = []
    if public:
        texts.append(
            f"{public} {record}s are declared public and belong to no holder: they are used "
            "without noise, and no guarantee covers them"
        )
    if scans:
        texts.append(
            f"{len(scans)} scans and their poses are declared public, since each {record} is "
            f"compared with them, and no guarantee covers them: {_first(scans)}"
        )
    return texts


def _first(names: Sequence[str], most: int = 12) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def warnings_for(mechanism: Mechanism, records: Sequence[int]) -> list[str]:
    """Return warnings about a delta or an epsilon that is too large.

    ``records`` is the number of records of each holder.

    >>> from fedchain.privacy.mechanisms import gaussian
    >>> warnings_for(gaussian(10, 5, epsilon=1.0, clip=0.1, delta=0.01), [200, 50])[0][:52]
    'privacy.delta: 0.01 is not below 1/n_k = 0.005 at ho'
    """
    texts, terms = [], mechanism.terms
    largest = max(range(len(records)), key=records.__getitem__)
    if mechanism.noise_multiplier and terms.delta >= 1 / records[largest]:
        texts.append(
            f"privacy.delta: {terms.delta:g} is not below 1/n_k = {1 / records[largest]:g} at "
            f"holder {largest} (n_k = {records[largest]} records): publishing one whole record at "
            "random would pass; choose a smaller delta"
        )
    total = mechanism.epsilon_after(terms.releases)
    if 10 < total < math.inf:
        texts.append(
            f"privacy.epsilon: a total of {total:.3g} promises very little; below 10 is usual"
        )
    return texts
