"""Registry: families of parts, and the checks that turn a YAML block into a ready part.

A family holds all parts of one kind (aggregation rules, mechanisms, tasks ..). A part is a
function with the family's decorator. The simulator supplies its arguments before ``*``, and the
YAML file supplies those after ``*``. A part's name in YAML is the function's name. A user-defined
part is named ``module:function`` and gets the same checks.
"""

from fedchain.registry.bounds import AtMost as AtMost
from fedchain.registry.bounds import bound_problems as bound_problems
from fedchain.registry.bounds import within as within
from fedchain.registry.families import FAMILIES as FAMILIES
from fedchain.registry.families import Family as Family
from fedchain.registry.families import examine_keys as examine_keys
from fedchain.registry.families import leaf_model as leaf_model
from fedchain.registry.families import nested_family as nested_family
from fedchain.registry.families import parameters as parameters
from fedchain.registry.families import section_of as section_of
from fedchain.registry.families import simulator_values as simulator_values
from fedchain.registry.parts import Part as Part
from fedchain.registry.parts import Section as Section
from fedchain.registry.parts import Where as Where
from fedchain.registry.parts import plain_value as plain_value
from fedchain.registry.wording import problems_of as problems_of
from fedchain.registry.wording import show_value as show_value
from fedchain.registry.wording import suggest as suggest
