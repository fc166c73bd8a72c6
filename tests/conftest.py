"""What every test needs: Paddle's two unconditional warnings are not errors of this program."""

import pytest

HARMLESS = (
    "ignore:No ccache found:UserWarning",
    "ignore:When training, we now always track global mean and variance:UserWarning",
)


def pytest_configure(config: pytest.Config) -> None:
    for line in HARMLESS:
        config.addinivalue_line("filterwarnings", line)
