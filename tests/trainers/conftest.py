from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paddle
import pytest

from trainers.quiet import Quiet


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[Quiet]:
    locks = Quiet(tmp_path)
    yield locks
    locks.close()


@pytest.fixture
def forbid_transfers(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Once called, arrays and numbers can be made neither into tensors nor from them.

    On a GPU each would wait for all work asked for before.
    """

    def refuse(*_: object, **__: Any) -> None:
        pytest.fail("a transfer between host and device")

    def forbid() -> None:
        monkeypatch.setattr(paddle, "to_tensor", refuse)
        for name in ("numpy", "item", "tolist", "__array__", "__float__", "__int__", "__bool__",
                     "__index__", "cpu", "cuda", "pin_memory"):  # fmt: skip
            monkeypatch.setattr(paddle.Tensor, name, refuse)

    return forbid
