"""The file with the rates of this machine, in the user's cache folder."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedchain.cache import RATES, add, cache_folder
from fedchain.errors import RunError
from fedchain.forecasts.costs import ROUGH, Passes, Rates

FILE = f"{RATES}-1.json"
"""Name of the file in the cache folder; the number is that of its layout."""
LARGEST_FILE = 65_536
"""Most bytes of a file of rates that is read."""


def here() -> Rates | None:
    """Return the rates that were measured on this machine, or None.

    A file that is damaged, or of another layout, counts as none.
    """
    path = cache_folder() / FILE
    try:
        if path.stat().st_size > LARGEST_FILE:
            return None
        return rates_of(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def keep(rates: Rates) -> Path:
    """Write rates into the user's cache folder, and return the file.

    Raises:
        RunError: the folder cannot be written.
    """
    path = cache_folder() / FILE
    text = json.dumps(plain(rates), indent=2) + "\n"
    try:
        add(path, lambda file: file.write(text.encode()))
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror}") from error
    return path


def plain(rates: Rates) -> dict[str, Any]:
    """Return rates as plain values.

    >>> rates_of(plain(ROUGH)) == ROUGH
    True
    """
    shallow = {f.name: getattr(rates, f.name) for f in dataclasses.fields(rates)}
    methods = {name: dataclasses.asdict(passes) for name, passes in rates.gradients.items()}
    return {**shallow, "gradients": methods, "forward": dataclasses.asdict(rates.forward)}


def rates_of(values: Mapping[str, Any]) -> Rates:
    """Return rates from plain values.

    Raises:
        ValueError: a rate is missing, or is not a finite number of at least 0.
    """
    numbers = {
        field.name: _number(values.get(field.name), field.name)
        for field in dataclasses.fields(Rates)
        if field.name not in ("cores", "gradients", "forward")
    }
    gradients = {name: _passes(values["gradients"][name]) for name in ROUGH.gradients}
    cores = int(_number(values.get("cores"), "cores"))
    return Rates(cores=cores, gradients=gradients, forward=_passes(values["forward"]), **numbers)


def _passes(values: Mapping[str, Any]) -> Passes:
    names = [field.name for field in dataclasses.fields(Passes)]
    return Passes(**{name: _number(values.get(name), name) for name in names})


def _number(value: object, name: str) -> float:
    if not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise ValueError(f"rates: {name} is {value!r}; must be a number of at least 0")
    return float(value)


def rows(rates: Rates) -> list[tuple[str, str, str]]:
    """Return rates for people to read: the operation, how many in a second, the time of one.

    >>> rows(ROUGH)[-1]
    ('everything else of a round', '200 /s', '5 ms')
    """
    listed = [
        (f"{_METHODS[method]}: {_PASSES[field.name]}", getattr(passes, field.name))
        for method, passes in (*rates.gradients.items(), ("forward", rates.forward))
        for field in dataclasses.fields(Passes)
    ]
    listed += [(what, getattr(rates, name)) for name, what in _WORDS.items()]
    return [(what, _rate(taken), _duration(taken)) for what, taken in listed]


_METHODS = {
    "segments": "gradients of dense networks",
    "layers": "gradients of convolutions",
    "vmap": "gradients of other models",
    "forward": "measuring",
}
_PASSES = {
    "starts": "starts",
    "calls": "calls of a layer",
    "products": "multiply-adds",
    "numbers": "numbers of a gradient",
    "activations": "numbers between layers",
}
_WORDS = {
    "noise": "normal numbers",
    "quantise": "numbers quantised",
    "sign": "Ed25519 signatures",
    "verify": "Ed25519 verifications",
    "check": "numbers checked",
    "aggregate": "numbers aggregated (l-nearest)",
    "update": "numbers updated",
    "hash": "bytes of SHA-256",
    "write": "bytes written, without the wait",
    "store": "bytes stored",
    "commit": "blobs committed",
    "attempt": "nonces tried",
    "event": "deliveries",
    "holder": "everything else of a holder",
    "round": "everything else of a round",
}


def _rate(taken: float) -> str:
    if taken == 0:
        return "not seen"
    value, exponent = 1.0 / taken, 0
    while value >= 1000 and exponent < 4:
        value, exponent = value / 1000, exponent + 1
    return f"{value:.3g} {('', 'k', 'M', 'G', 'T')[exponent]}/s"


def _duration(taken: float) -> str:
    if taken == 0:
        return "0"
    exponent = 0
    while taken < 1 and exponent < 4:
        taken, exponent = taken * 1000, exponent + 1
    return f"{taken:.3g} {('s', 'ms', 'µs', 'ns', 'ps')[exponent]}"
