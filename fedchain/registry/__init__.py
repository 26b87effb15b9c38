"""Registry: families of parts, and the checks that turn a YAML block into a usable part.

A part is a function with its family's decorator, such as an aggregation rule. The simulator
supplies the arguments before ``*``, and the YAML file those after ``*``. ``kind`` in YAML is the
function's name, or ``module:function`` for a user-defined part.
"""

from fedchain.registry.bounds import AtMost, bound_problems, within
from fedchain.registry.data_files import Matching, data_of, hash_of_data
from fedchain.registry.families import (
    FAMILIES,
    Family,
    examine_keys,
    leaf_model,
    listed_family,
    nested_family,
)
from fedchain.registry.own import file_and_line, simulator_values
from fedchain.registry.own_code import own_code
from fedchain.registry.parts import Part, Section, Where, plain_value
from fedchain.registry.signatures import list_lengths, parameters, section_of
from fedchain.registry.sources import LEARNING_CHAIN, Reference, cites, references, sources_of
from fedchain.registry.wording import problems_of, show_value, suggest

__all__ = [
    "FAMILIES",
    "LEARNING_CHAIN",
    "AtMost",
    "Family",
    "Matching",
    "Part",
    "Reference",
    "Section",
    "Where",
    "bound_problems",
    "cites",
    "data_of",
    "examine_keys",
    "file_and_line",
    "hash_of_data",
    "leaf_model",
    "list_lengths",
    "listed_family",
    "nested_family",
    "own_code",
    "parameters",
    "plain_value",
    "problems_of",
    "references",
    "section_of",
    "show_value",
    "simulator_values",
    "sources_of",
    "suggest",
    "within",
]
