"""Audit: the record of one audit, and the audits that are known by a name."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from fedchain.errors import PartError
from fedchain.registry import suggest
from fedchain.registry.own import called, imported
from fedchain.results.findings import Finding, wrong_row
from fedchain.runs.manifest import as_json

if TYPE_CHECKING:
    from fedchain.audits.runs_for_audit import Subject
    from fedchain.reports.figures.style import Drawing

ROW_CONFIG = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)
"""How rows are checked: no silent conversion, no infinite number."""
LARGEST_EPSILON = 1e100
"""Largest epsilon of a row: what is larger promises nothing, and fits on no axis."""
Label = Annotated[str, Field(max_length=40, pattern=r"^[\w .-]*$")]
"""A text that stands in a figure as it is, and holds nothing that a figure would interpret."""


class AuditRow(BaseModel):
    """What every row of an audit holds; a row may hold more than its type says."""

    model_config = ROW_CONFIG
    claimed: Annotated[float, Field(gt=0, le=LARGEST_EPSILON)] | None
    """The epsilon that was promised; None: none was."""
    trials: int
    """How many canaries, records or pairs were judged."""

    @property
    def claim(self) -> str:
        """The claim as a figure names it: ``ε = 4``."""
        return "no noise" if self.claimed is None else f"ε = {self.claimed:.3g}"


class BoundingRow(AuditRow):
    """A row that bounds epsilon from below."""

    lower_bound: Annotated[float, Field(ge=0, le=LARGEST_EPSILON)]
    """The least epsilon that the attack leaves possible; 0: it proves nothing."""
    delta: float
    """The delta that the bound is for."""
    confidence: Annotated[float, Field(gt=0, lt=1)]
    """In this share of audits the true epsilon is no smaller."""
    attack: Label = ""
    """Which attack it is, where an audit tries several; each has a mark of its own in figures."""


R = TypeVar("R", bound=AuditRow)


@dataclass(frozen=True, kw_only=True)
class Audit(Generic[R]):
    """One audit: the attack, and what is shown of its findings.

    An audit bounds epsilon if its rows do, which then are a kind of ``BoundingRow``.

    Raises:
        ValueError: a column that the rows have not, or something else than a function.

    >>> def three(subject):
    ...     yield {"claimed": None, "trials": 3}
    >>> count = Audit(name="count", attack=three, row=AuditRow, columns={"trials": "trials"})
    >>> count.cells(count.attack(None)), count.bounds_epsilon
    ([[3]], False)
    """

    name: str
    """What tables and figures call it, and where it is one of fedchain's own, ``--attack`` too."""
    attack: Callable[[Subject], Iterable[Finding]]
    """Carries it out: a row a claim, or several."""
    row: type[R]
    """What a row must hold; it may hold more."""
    columns: Mapping[str, str]
    """What is shown of a row: its key, and the words above the column. A list is shown as the
    texts (``str``) of what is in it; a field with ``repr=False`` is left out of the terminal."""
    figure: Callable[[Sequence[R]], Drawing] | None = None
    """Draws the rows, one or more; None: no figure of its own."""

    def __post_init__(self) -> None:
        if not (isinstance(self.row, type) and issubclass(self.row, AuditRow)):
            raise ValueError(f"row: must be a kind of AuditRow, got {self.row!r}")
        if unknown := [key for key in self.columns if key not in self.row.model_fields]:
            allowed = suggest(unknown[0], self.row.model_fields)
            raise ValueError(f"columns: {self.row.__name__} has no {unknown[0]!r}; {allowed}")
        for role, part in (("attack", self.attack), ("figure", self.figure or self.attack)):
            if not inspect.isfunction(part):
                raise ValueError(f"{role}: must be a Python function, got {part!r}")

    @property
    def words(self) -> str:
        """The name as captions and legends have it: ``one run``."""
        return self.name.replace("-", " ")

    @property
    def bounds_epsilon(self) -> bool:
        """Whether its rows bound epsilon from below, and so take part in the verdict."""
        return issubclass(self.row, BoundingRow)

    def rows(self, findings: Iterable[Finding]) -> list[R]:
        """Return findings, which were checked, as rows of its type."""
        return [self.row.model_validate(finding) for finding in findings]

    def cells(self, findings: Iterable[Finding]) -> list[list[Any]]:
        """Return what is shown of each finding, a value a column."""
        return [[getattr(row, key) for key in self.columns] for row in self.rows(findings)]


AUDITS: dict[str, Audit[Any]] = {}
"""Fedchain's own audits by name, in the order in which ``audit.json`` lists them."""


def register(audit: Audit[Any]) -> None:
    """Add one of fedchain's own audits to those that ``--attack`` knows."""
    AUDITS[audit.name] = audit


def find_audit(name: str) -> Audit[Any]:
    """Return an audit by its name, or import one of the user's own.

    Args:
        name: of a registered audit, or ``module:object``.

    Raises:
        ValueError: there is no such audit; the text says what is allowed.

    >>> find_audit("math:pi")
    Traceback (most recent call last):
    ValueError: 'math:pi' is no audit; write module:audit
    """
    if name in AUDITS:
        return AUDITS[name]
    if ":" in name:
        return imported(name, Audit, "audit")
    raise ValueError(f"no audit called {name!r}; {suggest(name, AUDITS)}")


def carry_out(name: str, audit: Audit[Any], subject: Subject) -> list[Finding]:
    """Carry out an audit, and check its rows.

    Args:
        name: under which it was asked for.
        audit: of that name.
        subject: what is attacked.

    Returns:
        The rows as ``audit.json`` will give them back.

    Raises:
        PartError: an audit of the user's own fails, or a row is not what the audit says.
    """

    @functools.wraps(audit.attack)
    def attack(asked: Subject) -> list[Finding]:
        found = {"rows": list(audit.attack(asked))}
        return list(json.loads(as_json(found))["rows"])

    rows: list[Finding] = _call(name, list, attack, subject)
    if (wrong := wrong_row("rows", rows, audit.row)) is not None:
        raise PartError(f"audit {name}: {wrong}")
    return rows


def draw_own_figure(name: str, audit: Audit[Any], findings: Sequence[Finding]) -> Drawing | None:
    """Draw an audit's own figure; None where it has none.

    Raises:
        PartError: the figure of an audit of the user's own fails.
    """
    from fedchain.reports.figures.style import Drawing

    if audit.figure is None or not findings:
        return None
    drawing: Drawing = _call(name, Drawing, audit.figure, audit.rows(findings))
    return drawing


def _call(name: str, makes: type, function: Callable[..., Any], argument: object) -> Any:
    """Call a function of an audit; what goes wrong in the user's own is explained."""
    if name in AUDITS:
        return function(argument)
    return called(f"audit {name}", makes, function, argument)
