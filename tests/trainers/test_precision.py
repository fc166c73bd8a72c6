"""What is chosen on a GPU is tested with a CPU that says it is one."""

from typing import Any

import paddle
import pytest

from models.errors import InputError
from trainers.config import Precision
from trainers.precision import autocast, resolve


def pretend(monkeypatch: pytest.MonkeyPatch, device: str, able: bool) -> None:
    monkeypatch.setattr(paddle, "get_device", lambda: device)
    monkeypatch.setattr(paddle.amp, "is_bfloat16_supported", lambda: able)


def test_on_this_cpu_everything_is_float32() -> None:
    assert resolve("auto") == resolve("float32") == "float32"
    with pytest.raises(InputError, match=r"precision: bfloat16 .* on cpu.* allowed: auto, float32"):
        resolve("bfloat16")


@pytest.mark.parametrize(
    ("device", "able", "wanted", "expected"),
    [
        ("gpu:0", True, "auto", "bfloat16"),
        ("gpu:0", True, "bfloat16", "bfloat16"),
        ("gpu:0", True, "float32", "float32"),
        ("gpu:0", False, "auto", "float32"),
        ("cpu", True, "auto", "float32"),  # some CPUs have it, but Paddle casts on GPUs alone
    ],
)
def test_on_others(
    monkeypatch: pytest.MonkeyPatch, device: str, able: bool, wanted: Precision, expected: str
) -> None:
    pretend(monkeypatch, device, able)
    assert resolve(wanted) == expected


def test_a_gpu_without_bfloat16_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "gpu:1", able=False)
    with pytest.raises(InputError, match="on gpu:1"):
        resolve("bfloat16")


def test_paddle_casts_where_the_precision_is_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    original = paddle.amp.auto_cast

    def auto_cast(**given: Any) -> Any:
        asked.append(given)
        return original(**given, enable=False)  # which would warn on a CPU

    monkeypatch.setattr(paddle.amp, "auto_cast", auto_cast)
    for precision in ("float32", "bfloat16"):
        with autocast(precision):
            assert paddle.ones([1]).dtype == paddle.float32
    assert asked == [{"dtype": "bfloat16", "level": "O1"}]
