"""Small pictures for tests of the whole way: most of its time would go into them."""

import pytest


@pytest.fixture(scope="package", autouse=True)
def _small_pictures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fedchain.surfaces.process.pictures.SIZE", (24, 32))
        yield
