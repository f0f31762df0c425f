"""One small study and one model trained on it with the real command, shared by the acceptance tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import Finished, alhvr
from tiny_runs import short_run, write_study


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """labeled/ (4 cases) and archive/ (4 scans)."""
    return write_study(tmp_path_factory.mktemp("study"), labeled=4, archive=4)


@pytest.fixture(scope="session")
def trained(study: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Finished]:
    """A finished run of 40 iterations, and what the command said as JSON lines."""
    run = tmp_path_factory.mktemp("trained") / "run"
    done = alhvr(*short_run(study, run, "--iterations", 40, "--progress", "json", learning_rate=0.01))
    assert done.code == 0, done
    return run, done


@pytest.fixture(scope="session")
def model(trained: tuple[Path, Finished]) -> Path:
    """The model of that run."""
    return trained[0] / "model"
