from pathlib import Path

import pytest
from example_study import make_study


@pytest.fixture(scope="session")
def example_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's folder of the example study; not to be changed."""
    return make_study(tmp_path_factory.mktemp("study") / "runs")
