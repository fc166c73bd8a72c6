"""Golden numbers of official implementations, and the layers of ours they are compared with.

The data lie beside the checkout, in `../shared/golden`; `index.json` there lists every case.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from golden_layers import ORIGINS, attention_of, make_layer
from golden_names import BRIDGES, NAMES
from paddle import nn

from models.block import AttentionBlock

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "golden"
INDEX = FOLDER / "index.json"
ABSENT = f"no golden numbers at {FOLDER}"

Y_TOLERANCE = 2e-5
DX_TOLERANCE = 1e-4
# Times the gradient's largest entry, and at least times 1: a parameter's gradient sums over up to
# 392 positions, so its float32 rounding grows with its size; measured 5e-6 of it. The floor is for
# gradients that are zero in theory (a bias before a batch norm in training, φ's before a softmax):
# both sides record rounding of terms up to 20 there, measured 4e-5.
GRADIENT_TOLERANCE = 1e-4


@dataclass
class Golden:
    """One case: our layer, how it is called, and how the original's names translate."""

    name: str
    block: str
    """The name of our block that the case is about."""
    mode: str
    arrays: dict[str, np.ndarray]
    layer: nn.Layer
    call: Callable[..., paddle.Tensor]
    names: Mapping[str, str]
    zeroed: tuple[str, ...] = field(default=())
    """Parameters of ours that the original lacks and that have no effect as zeros."""
    computed: tuple[str, ...] = field(default=())
    """Tensors of ours that must equal the original's as they were made, without being set."""

    @property
    def attention(self) -> AttentionBlock:
        """Our block: the layer itself, or what a residual block has before its sum."""
        return attention_of(self.layer)


def index() -> list[dict[str, Any]]:
    """All cases the index lists; none where the data are absent."""
    return json.loads(INDEX.read_text()) if INDEX.exists() else []


def block_of(case: Mapping[str, Any]) -> str:
    """The name of our block that the case is about."""
    return ORIGINS[case["origin"]["cls"]].block


def load_arrays(case: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Everything the case recorded."""
    with np.load(FOLDER / f"{case['name']}.npz") as stored:
        return {key: stored[key] for key in stored.files if key != "meta"}


def load(case: Mapping[str, Any]) -> Golden:
    """Our layer for a case of the index, its weights not yet set."""
    cls, arrays = case["origin"]["cls"], load_arrays(case)
    layer = make_layer(case, arrays)
    names = NAMES.get(cls, {})
    golden = Golden(case["name"], block_of(case), case["mode"], arrays, layer, layer, names)
    if cls in ("BA_module_resnet", "BA_module_efficientnet"):  # modules of pooled maps
        golden.names = BRIDGES[len(case["config"]["pre_channels"])]
        golden.call = lambda x, *earlier: layer.gate(*(t.flatten(1) for t in (*earlier, x)))
    if cls == "GlobalContext":
        for branch in (layer.add, layer.mul):
            if branch is not None:
                branch[1]._epsilon = 1e-6  # timm's; the official code and ours have 1e-5
    if cls == "NonLocal2d" and "norm_cfg" in case["config"]:
        golden.zeroed = ("out.bias",)  # mmcv: no bias before a batch norm
    if cls == "BatNonLocalAttn":  # timm: nor here
        golden.zeroed = tuple(f"{n}.0.bias" for n in ("reduce", "observe", "transform", "restore"))
    if cls == "MultiSpectralAttentionLayer":
        golden.computed = ("filters",)
    return golden
