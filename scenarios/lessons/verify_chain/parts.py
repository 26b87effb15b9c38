"""Parts: an aggregation rule or an update by its kind, with parameters that have bounds."""

import math

from .encoding import UnknownRule, need

REQUIRED = object()
"""Stands for the default of a parameter that has none."""


def at_least(least, whole=False):
    """Allow numbers from `least` on."""
    kind = int if whole else int | float
    return (
        f"{'whole ' * whole}numbers from {least} on",
        lambda value: isinstance(value, kind) and least <= value < math.inf,
    )


def above(least, most=math.inf):
    """Allow finite numbers above `least`, up to `most`."""
    return (
        f"numbers above {least}" + f", at most {most}" * (most < math.inf),
        lambda value: isinstance(value, int | float) and least < value <= most,
    )


def between(least, most):
    """Allow whole numbers from `least` to `most`."""
    return (
        f"whole numbers from {least} to {most}",
        lambda value: isinstance(value, int) and least <= value <= most,
    )


def maybe(rule):
    """Allow null, too."""
    words, allows = rule
    return f"{words}, or null", lambda value: value is None or allows(value)


class ListOf:
    """A list of parts of these kinds."""

    def __init__(self, known, least, most):
        """Note the kinds and the numbers of parts that are allowed."""
        self.known, self.least, self.most = known, least, most

    def read(self, value, where):
        """Return the parts with all their parameters."""
        right = isinstance(value, list) and self.least <= len(value) <= self.most
        need(right, f"{where}: got {value!r:.80}; must be {self.least} to {self.most} parts")
        return [read_part(each, self.known, f"{where}[{k}]") for k, each in enumerate(value)]


def fraction():
    """Allow numbers from 0 to below 1."""
    return "numbers from 0 to below 1", lambda v: isinstance(v, int | float) and 0 <= v < 1


def one_of(*values):
    """Allow these values alone."""
    return f"one of {values}", lambda value: value in values


def read_part(part, known, where):
    """Return the parameters of a part by name, its kind and all defaults among them."""
    kind = part.get("kind") if isinstance(part, dict) else None
    need(isinstance(kind, str), f"{where}: kind: got {kind!r:.80}; must be a text")
    if kind not in known:
        raise UnknownRule(f"{where}: {kind} is defined by its code; this script knows {[*known]}")
    table, given = known[kind], {name: value for name, value in part.items() if name != "kind"}
    for name in given:
        need(name in table, f"{where}: {name}: is no key of {kind}; it has {[*table]}")
    found = {"kind": kind}
    for name, (default, allowed) in table.items():
        need(name in given or default is not REQUIRED, f"{where}: {name}: is missing")
        value = given.get(name, default)
        if isinstance(allowed, ListOf):
            found[name] = allowed.read(value, f"{where}: {name}")
            continue
        words, allows = allowed
        right = not isinstance(value, bool) and allows(value)
        need(right, f"{where}: {name}: got {value!r:.80}; must be {words}")
        found[name] = value
    return found
