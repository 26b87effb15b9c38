"""Numbers: what the texts of each lesson say, computed from its recorded data, as words.

Measured shares have three digits and no zero before the point; numbers of a scenario are as short
as they were written.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fedchain.arrays import Flags

NumberWords = dict[str, str]
"""Numbers as words, by the name that texts use."""
Data = Mapping[str, Any]
"""Content of a data file."""


def number_words(name: str, data: Data) -> NumberWords:
    """Return the numbers of a lesson, by its name and its data."""
    return _MADE[name](data)


def share(value: float) -> str:
    """Return a measured share as a text with three digits.

    >>> share(0.6723), share(1.0), share(-0.5)
    ('.672', '1', '-.500')
    """
    text = f"{abs(value):.3f}".removeprefix("0")
    text = {".000": "0", "1.000": "1"}.get(text, text)
    return f"-{text}" if value < 0 and text != "0" else text


def setting(value: float) -> str:
    """Return a number of a scenario as short as it was written.

    >>> setting(0.5), setting(8.0), setting(0.15)
    ('.5', '8', '.15')
    """
    return f"{value:g}".removeprefix("0") or "0"


def _hash(data: Data) -> NumberWords:
    changed = changed_bits(base64.b64decode(data["model"]), data["first"])
    return {
        "mean": f"{np.mean(changed):.1f}",
        "least": str(min(changed)),
        "most": str(max(changed)),
        "tries": f"{len(changed):,}",
        "percent": f"{100 * np.mean(changed) / 256:.0f}",
    }


def changed_bits(model: bytes, first: int) -> list[int]:
    """Return how many bits of the SHA-256 change with each bit of the bytes from ``first`` on."""
    before = int.from_bytes(hashlib.sha256(model).digest(), "big")
    found, damaged = [], bytearray(model)
    for place in range(first, len(model)):
        for bit in range(8):
            damaged[place] ^= 1 << bit
            after = int.from_bytes(hashlib.sha256(damaged).digest(), "big")
            damaged[place] ^= 1 << bit
            found.append((before ^ after).bit_count())
    return found


def _forks(data: Data) -> NumberWords:
    found: dict[float, list[Any]] = {}
    for point in data["points"]:
        found.setdefault(point["delay_s"], []).append(point)
    named = {
        "asked": found[data["asked_delay_s"]],
        "least": found[min(found)],
        "most": found[max(found)],
    }
    numbers: NumberWords = {"interval": setting(data["points"][0]["interval_s"])}
    for name, points in named.items():
        x = points[0]["delay_s"] / points[0]["interval_s"]
        numbers |= {
            f"{name}_delay": setting(points[0]["delay_s"]),
            f"{name}_x": setting(x),
            f"{name}_lost": share(float(np.mean([each["lost"] for each in points]))),
            f"{name}_law": share(x / (1 + x)),
        }
    return numbers


def _round(data: Data) -> NumberWords:
    arrows, used = np.array(data["arrows"]), np.array(data["used"], bool)
    angles = np.degrees(np.arccos(np.clip(data["cosines"], -1, 1)))
    longest = int(np.argmax(np.hypot(*arrows.T)))
    return {
        "messages": str(len(arrows)),
        "keep": str(data["keep"]),
        "round": str(data["round"]),
        "out_angle": f"{angles[~used].min():.0f}",
        "in_angle": f"{angles[used].max():.0f}",
        "out_cosine": share(np.array(data["cosines"])[~used].max()),
        "out_letter": letter(int(np.flatnonzero(~used)[0])),
        "longest_letter": letter(longest),
        "off_mean": f"{angle_between(arrows.mean(axis=0), data['gradient']):.0f}",
    }


def letter(place: int) -> str:
    """Return the name of an arrow.

    >>> letter(2)
    'C'
    """
    return "ABCDEFGH"[place]


def angle_between(one: Any, other: Any) -> float:
    """Return the angle between two vectors in degrees.

    >>> round(angle_between([1, 0], [0, 2]))
    90
    """
    cosine = np.dot(one, other) / (np.linalg.norm(one) * np.linalg.norm(other))
    return math.degrees(math.acos(max(-1.0, min(1.0, float(cosine)))))


def _epsilon(data: Data) -> NumberWords:
    last: dict[float, list[float]] = {}
    for curve in data["curves"]:
        last.setdefault(float(curve["epsilon"]), []).append(curve["iou"][-1])
    means = {epsilon: float(np.mean(values)) for epsilon, values in sorted(last.items())}
    numbers: NumberWords = {
        "keep_everything": share(data["keep_everything"]),
        "spread": share(max(max(values) - min(values) for values in last.values())),
    }
    none = means[math.inf]
    for name, (epsilon, iou) in zip(EPSILONS, means.items(), strict=True):
        numbers |= {f"eps_{name}": setting(epsilon), f"iou_{name}": share(iou)}
        numbers[f"cost_{name}"] = share(none - iou)
    return numbers


EPSILONS = ("low", "middle", "high", "none")
"""Names of the recorded epsilons, from the smallest to infinity, which means no noise."""


def _poison(data: Data) -> NumberWords:
    numbers: NumberWords = {}
    for name in ("scans", "table"):
        records = data[name]
        (run,) = (each for each in records if each["is"] == "run")
        sent = _last_told(records)
        attacks = [each for each in sent if each["attack"]]
        numbers |= {
            f"{name}_sent": str(len(attacks)),
            f"{name}_used": str(sum(each["used"] for each in attacks)),
            f"{name}_left_out": str(sum(not each["used"] for each in attacks)),
            f"{name}_epsilon": f"{run['epsilon_budget']:g}",
            f"{name}_from": str(min(each["round"] for each in attacks)),
            f"{name}_honest": share(_mean_cosine(sent, attacks)),
        }
    return numbers


def _last_told(records: Sequence[Data]) -> list[Data]:
    """Return the messages of the blocks that stayed on the chain, and that a block has."""
    blocks = {each["round"]: each["block"] for each in records if each["is"] == "round"}
    messages = {each["id"]: each for each in records if each["is"] == "message"}
    kept = (each for each in messages.values() if each["cosine"] is not None)
    return [each for each in kept if blocks.get(each["round"]) == each["block"]]


def _mean_cosine(sent: Sequence[Data], attacks: Sequence[Data]) -> float:
    """Return the mean cosine of honest messages in the rounds with an attack."""
    rounds = {each["round"] for each in attacks}
    honest = [each for each in sent if each["round"] in rounds and not each["attack"]]
    return float(np.mean([each["cosine"] for each in honest]))


def _tampering(data: Data) -> NumberWords:
    return {
        "blocks": str(data["blocks"]),
        "weights": str(data["weights"]),
        "messages": str(data["messages"]),
        "bits": str(data["difficulty_bits"]),
        "tries": f"{2 ** data['difficulty_bits']:,}",
    }


def _points(data: Data) -> NumberWords:
    truth = unpacked(data["truth"], data["count"])
    numbers: NumberWords = {"points": f"{data['count']:,}", "outliers": f"{int((~truth).sum()):,}"}
    for name, bits in data["kept"].items():
        numbers[name] = share(iou_of(unpacked(bits, data["count"]), truth))
    return numbers


def unpacked(bits: str, count: int) -> Flags:
    """Return packed bits as flags, shape (count,)."""
    packed = np.frombuffer(base64.b64decode(bits), np.uint8)
    return np.unpackbits(packed)[:count].astype(bool)


def iou_of(kept: Flags, truth: Flags) -> float:
    """Return the intersection over union of the kept points.

    >>> iou_of(np.array([True, True]), np.array([True, False]))
    0.5
    """
    return float((kept & truth).sum() / max((kept | truth).sum(), 1))


_MADE: Mapping[str, Callable[[Data], NumberWords]] = {
    "01_hash": _hash,
    "02_forks": _forks,
    "03_round": _round,
    "04_epsilon": _epsilon,
    "05_poison": _poison,
    "06_tampering": _tampering,
    "07_points": _points,
}
