"""For all tests: what a check of the data keeps goes to a folder of the test run, not to the user's cache."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def _cache_of_this_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALHVR_CACHE", str(tmp_path_factory.mktemp("alhvr-cache")))
        yield
