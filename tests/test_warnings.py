import warnings

import numpy as np
import pytest


def warn(module: str, category: type[Warning]) -> None:
    warnings.warn_explicit("old", category, "file.py", 1, module=module)


OURS = ["fedchain", "fedchain.ledger.storage.store", "test_heads", __name__]


@pytest.mark.parametrize("module", OURS)
def test_warnings_that_point_at_fedchain_or_its_tests_are_errors(module):
    with pytest.raises(DeprecationWarning):
        warn(module, DeprecationWarning)


@pytest.mark.parametrize("category", [DeprecationWarning, FutureWarning, SyntaxWarning])
def test_warnings_that_point_into_other_packages_are_none(category):
    with warnings.catch_warnings(record=True) as seen:
        warn("matplotlib.rcsetup", category)
    assert [warning.category for warning in seen] == [category]


def test_numbers_that_go_wrong_are_errors_wherever_that_is_noticed():
    with pytest.raises(RuntimeWarning, match="empty slice"):
        np.mean([])


def test_files_that_nobody_closes_are_errors_wherever_that_is_noticed():
    with pytest.raises(ResourceWarning):
        warn("somewhere", ResourceWarning)
