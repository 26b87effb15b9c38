"""Axis labels: short labels for the values of a sweep's axis that are YAML mappings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fedchain.errors import ScenarioError
from fedchain.names import short_kind
from fedchain.scenario.reading import read_yaml
from fedchain.scenario.writing import yaml_text

NO_ATTACKERS = "nobody"
"""Label of an attack whose number or share of holders is 0."""


def block_words(key: str, texts: Sequence[str]) -> dict[str, str]:
    """Label each mapping of an axis with its kind, and with the keys that differ within the kind.

    A list of mappings has the labels of its entries, joined by a plus sign.

    Args:
        key: the grid key, dotted.
        texts: the different values of the axis, as text in ``points.csv``.

    Returns:
        The label of each text that is a mapping, a list of mappings, or null. If no text is a
        mapping, the label of each part of a user's own. Empty if there is neither, or if two labels
        would be equal.

    >>> block_words("nodes.groups", ["null", "{size: 5, honest: 0.8}", "{size: 9, honest: 0.8}"])
    {'null': 'no groups', '{size: 5, honest: 0.8}': 'size 5', '{size: 9, honest: 0.8}': 'size 9'}
    >>> block_words("attacks[0]", ["{kind: alie, count: 0}", "{kind: alie, count: 4}"])
    {'{kind: alie, count: 0}': 'nobody', '{kind: alie, count: 4}': 'alie'}
    >>> block_words("aggregation.kind", ["krum", "my_lab.rules:halfway"])
    {'my_lab.rules:halfway': 'halfway'}
    >>> block_words("privacy", ["{kind: gaussian, clip: 0.5}", "{kind: knorm, clip: 0.5}"])
    {'{kind: gaussian, clip: 0.5}': 'gaussian', '{kind: knorm, clip: 0.5}': 'knorm'}
    >>> block_words("attacks", ["[]", "[{kind: alie, count: 4}]"])
    {'[]': 'nobody', '[{kind: alie, count: 4}]': 'alie'}
    """
    values = {text: _value(text) for text in texts}
    lists = {text: value for text, value in values.items() if _is_list(value)}
    if any(lists.values()):
        return _list_words(key, texts, lists)
    blocks = {text: value for text, value in values.items() if isinstance(value, Mapping)}
    if not blocks:
        return _short_kinds(key, texts)
    idle = {text for text, block in blocks.items() if 0 in (block.get("count"), block.get("share"))}
    active = {text: block for text, block in blocks.items() if text not in idle}
    words = dict(zip(active, _distinguish(list(active.values())), strict=True))
    words |= dict.fromkeys(idle, NO_ATTACKERS)
    if len(set(words.values())) < len(words):
        return {}
    if any(value is None for value in values.values()):
        words["null"] = _nothing(key)
    return {text: words[text] for text in texts if text in words}


def _nothing(key: str) -> str:
    """Return the label of an axis value that leaves a key out, or lists nothing under it."""
    return NO_ATTACKERS if key == "attacks" else f"no {key.rpartition('.')[2].replace('_', ' ')}"


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, Mapping) for entry in value)


def _list_words(
    key: str, texts: Sequence[str], lists: Mapping[str, list[Mapping[str, Any]]]
) -> dict[str, str]:
    """Label each list of mappings, by the labels of all mappings in all lists."""
    entries = {yaml_text(entry): entry for value in lists.values() for entry in value}
    labels = block_words(f"{key}[0]", list(entries))
    words = {
        text: " + ".join(labels[yaml_text(entry)] for entry in value) or _nothing(key)
        for text, value in lists.items()
        if all(yaml_text(entry) in labels for entry in value)
    }
    if len(words) < len(lists) or len(set(words.values())) < len(words):
        return {}
    return {text: words.get(text, _nothing(key)) for text in texts if text in {*words, "null"}}


def _short_kinds(key: str, texts: Sequence[str]) -> dict[str, str]:
    short = {text: short_kind(text) for text in texts}
    if not key.endswith("kind") or len(set(short.values())) < len(short):
        return {}
    return {text: words for text, words in short.items() if words != text}


def _value(text: str) -> Any:
    try:
        node, problems = read_yaml(text, "points.csv", option=True)
    except ScenarioError:
        return text
    return text if problems else node.plain()


def _distinguish(blocks: list[Mapping[str, Any]]) -> list[str]:
    kinds = [block.get("kind") for block in blocks]
    words = []
    for block, kind in zip(blocks, kinds, strict=True):
        peers = [other for other in blocks if other.get("kind") == kind]
        named = (
            [short_kind(kind)]
            if kind is not None and (len(set(kinds)) > 1 or peers == blocks)
            else []
        )
        words.append(", ".join(named + _differences(block, peers)))
    return words


def _differences(block: Mapping[str, Any], peers: list[Mapping[str, Any]]) -> list[str]:
    """Return labels for the keys whose values differ between mappings of the same kind."""
    alone = len(peers) == 1 and "kind" not in block
    found = []
    for key, value in block.items():
        others = [peer.get(key) for peer in peers]
        if key == "kind" or not (alone or any(other != value for other in others)):
            continue
        name = key.replace("_", " ")
        if isinstance(value, Mapping):
            inside = [other for other in others if isinstance(other, Mapping)]
            found.append(f"{name} {_distinguish(inside)[inside.index(value)]}".rstrip())
        elif isinstance(value, list) and all(isinstance(part, Mapping) for part in value):
            found.append(
                f"{name} {' + '.join(short_kind(part.get('kind')) for part in value)}".rstrip()
            )
        else:
            found.append(f"no {name}" if value is None else f"{name} {_plain(value)}")
    return found


def _plain(value: object) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:g}" if number else yaml_text(value)
