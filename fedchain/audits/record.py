"""Audit: the class of an audit, the classes of its rows, and the registered audits by name."""

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
"""Settings of all rows: values are not converted, and no number may be infinite or NaN."""
# a larger one promises nothing, and cannot be drawn
LARGEST_EPSILON = 1e100
"""Largest epsilon allowed in a row."""
Label = Annotated[str, Field(max_length=40, pattern=r"^[\w .-]*$")]
"""A text without characters that a figure would interpret, such as ``$``."""


class AuditRow(BaseModel):
    """Fields that every row of an audit has; a subclass may add fields."""

    model_config = ROW_CONFIG
    claimed: Annotated[float, Field(gt=0, le=LARGEST_EPSILON)] | None
    """The claimed epsilon; None if the run claims none."""
    trials: int
    """Number of canaries, records or pairs that were judged."""

    @property
    def claim(self) -> str:
        """The claimed epsilon as a label in figures, such as ``ε = 4``."""
        return "no noise" if self.claimed is None else f"ε = {self.claimed:.3g}"


class BoundingRow(AuditRow):
    """A row that bounds epsilon from below."""

    lower_bound: Annotated[float, Field(ge=0, le=LARGEST_EPSILON)]
    """The smallest epsilon that agrees with the attack's result; 0 if the attack proves nothing."""
    delta: float
    """The delta of the bound."""
    confidence: Annotated[float, Field(gt=0, lt=1)]
    """Least probability that the bound does not exceed the true epsilon."""
    attack: Label = ""
    """Name of the attack, if an audit tries several."""


RowType = TypeVar("RowType", bound=AuditRow)


@dataclass(frozen=True, kw_only=True)
class Audit(Generic[RowType]):
    """One audit: its attack, and how its findings are shown.

    Raises:
        ValueError: the row type is no subclass of ``AuditRow`` or lacks a field that ``columns``
            names, or the attack or the figure is not a function.

    >>> def three(subject):
    ...     yield {"claimed": None, "trials": 3}
    >>> count = Audit(name="count", attack=three, row=AuditRow, columns={"trials": "trials"})
    >>> count.cells(count.attack(None)), count.bounds_epsilon
    ([[3]], False)
    """

    name: str
    """Name in tables and figures. For fedchain's own audits, also the value of ``--attack``."""
    attack: Callable[[Subject], Iterable[Finding]]
    """Function that carries out the audit, and yields one or more rows per claimed epsilon."""
    row: type[RowType]
    """Type of a row."""
    columns: Mapping[str, str]
    """Heading of each table column, by the name of the field that the column shows. The terminal
    leaves out fields with ``repr=False``."""
    figure: Callable[[Sequence[RowType]], Drawing] | None = None
    """Function that draws all rows in one figure; None if the audit has no figure."""
    unseen: str = ""
    """What the audit cannot see, as a sentence below its table."""

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
        """The name in captions and legends: ``one run`` for the audit ``one-run``."""
        return self.name.replace("-", " ")

    @property
    def bounds_epsilon(self) -> bool:
        """Whether the rows are of type ``BoundingRow``."""
        return issubclass(self.row, BoundingRow)

    def rows(self, findings: Iterable[Finding]) -> list[RowType]:
        """Return checked findings as rows of the audit's type."""
        return [self.row.model_validate(finding) for finding in findings]

    def cells(self, findings: Iterable[Finding]) -> list[list[Any]]:
        """Return the table's values: one list for each finding, one value for each column."""
        return [[getattr(row, key) for key in self.columns] for row in self.rows(findings)]


AUDITS: dict[str, Audit[Any]] = {}
"""Fedchain's own audits by name, in the order in which ``audit.json`` lists them."""


def find_audit(name: str) -> Audit[Any]:
    """Return one of fedchain's audits by name, or import a user-defined one, ``module:object``.

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
    """Run an audit, and return its checked rows as ``audit.json`` will contain them.

    Raises:
        PartError: a user-defined audit fails, or a row does not have the audit's row type.
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
    """Return the figure of an audit; None if the audit has no figure, or if there are no findings.

    Raises:
        PartError: the figure of a user-defined audit fails.
    """
    from fedchain.reports.figures.style import Drawing

    if audit.figure is None or not findings:
        return None
    drawing: Drawing = _call(name, Drawing, audit.figure, audit.rows(findings))
    return drawing


def _call(name: str, makes: type, function: Callable[..., Any], argument: object) -> Any:
    """Call a function of an audit; an error of a user-defined audit becomes a PartError."""
    if name in AUDITS:
        return function(argument)
    return called(f"audit {name}", makes, function, argument)
