"""Registry: families of parts, and the checks that turn a YAML block into a ready part.

A family holds all parts of one kind (aggregation rules, mechanisms, tasks ..). A part is a
function with the family's decorator. The simulator supplies its arguments before ``*``, and the
YAML file supplies those after ``*``. A part's name in YAML is the function's name. A user-defined
part is named ``module:function`` and gets the same checks.
"""

from fedchain.registry.bounds import AtMost, bound_problems, within
from fedchain.registry.families import (
    FAMILIES,
    Family,
    examine_keys,
    leaf_model,
    nested_family,
    parameters,
    section_of,
)
from fedchain.registry.own import simulator_values
from fedchain.registry.parts import Part, Section, Where, plain_value
from fedchain.registry.wording import problems_of, show_value, suggest

__all__ = [
    "FAMILIES",
    "AtMost",
    "Family",
    "Part",
    "Section",
    "Where",
    "bound_problems",
    "examine_keys",
    "leaf_model",
    "nested_family",
    "parameters",
    "plain_value",
    "problems_of",
    "section_of",
    "show_value",
    "simulator_values",
    "suggest",
    "within",
]
