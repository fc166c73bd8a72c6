from pathlib import Path

import pytest
from example_study import make_study, write_from_parent


@pytest.fixture(scope="session")
def example_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's folder of the example study; not to be changed."""
    return make_study(tmp_path_factory.mktemp("study") / "runs")


@pytest.fixture(scope="session")
def written(example_run: Path) -> Path:
    """The folder of the example study's report; not to be changed."""
    return write_from_parent(example_run)
