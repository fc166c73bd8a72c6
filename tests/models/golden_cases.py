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
from paddle import nn

from models.attention import block_class, make_block
from models.block import SlotShape
from models.residual_network import BasicBlock

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "golden"
INDEX = FOLDER / "index.json"
ABSENT = f"no golden numbers at {FOLDER}"

Y_TOLERANCE = 2e-5
DX_TOLERANCE = 1e-4
# Times the gradient's largest entry, and at least times 1: a parameter's gradient sums over up to
# 384 positions, so its float32 rounding grows with its size; measured 3e-6 of it. The floor is for
# gradients that are zero in theory (a bias before a batch norm in training, φ's before a softmax):
# both sides record rounding of terms up to 20 there, measured 4e-5.
GRADIENT_TOLERANCE = 1e-4

LEAVES = {
    "weight": "weight",
    "bias": "bias",
    "running_mean": "_mean",
    "running_var": "_variance",
}

# Original layer name -> ours, per class of the origin. Two originals with one of ours are variants
# of which a case has one (a pooled projection is `g.0`, a plain one `g`).
NAMES: dict[str, dict[str, str]] = {
    "NONLocalBlock2D": {
        "g": "g",
        "g.0": "g",
        "theta": "theta",
        "phi": "phi",
        "phi.0": "phi",
        "W": "out",
        "W.0": "out",
        "W.1": "norm",
    },
    "NonLocal2d": {
        "g.conv": "g",
        "g.0.conv": "g",
        "theta.conv": "theta",
        "phi.conv": "phi",
        "phi.0.conv": "phi",
        "conv_out.conv": "out",
        "conv_out.bn": "norm",
    },
    "NonLocal": {"t": "theta", "p": "phi", "g": "g", "z": "out", "bn": "norm"},
    "ContextBlock": {
        "conv_mask": "mask",
        "channel_add_conv.0": "add.0",
        "channel_add_conv.1": "add.1",
        "channel_add_conv.3": "add.3",
        "channel_mul_conv.0": "mul.0",
        "channel_mul_conv.1": "mul.1",
        "channel_mul_conv.3": "mul.3",
    },
    "GlobalContext": {
        "conv_attn": "mask",
        "mlp_add.fc1": "add.0",
        "mlp_add.norm": "add.1",
        "mlp_add.fc2": "add.3",
    },
    "SELayer": {"fc.0": "squeeze", "fc.2": "excite"},
    "SEBlock": {"excitation.0": "squeeze", "excitation.2": "excite"},
    "SEBasicBlock": {
        "conv1": "conv1",
        "bn1": "norm1",
        "conv2": "conv2",
        "bn2": "norm2",
        "se.fc.0": "before_add.squeeze",
        "se.fc.2": "before_add.excite",
    },
}


def _bridge_names(earlier: int, theirs: str = "", ours: str = "") -> dict[str, str]:
    sources = [f"pre_fusions.{i}" for i in range(earlier)] + ["cur_fusion"]
    names = {f"{theirs}generation.1": f"{ours}generate"}
    for i, source in enumerate(sources):
        names[f"{theirs}{source}.0"] = f"{ours}bridges.{i}"
        names[f"{theirs}{source}.1"] = f"{ours}norms.{i}"
    return names


@dataclass
class Golden:
    """One case: our layer, how it is called, and how the original's names translate."""

    name: str
    mode: str
    arrays: dict[str, np.ndarray]
    layer: nn.Layer
    call: Callable[..., paddle.Tensor]
    names: Mapping[str, str]
    zeroed: tuple[str, ...] = field(default=())
    """Parameters of ours that the original lacks and that have no effect as zeros."""


def index() -> list[dict[str, Any]]:
    """All cases the index lists; none where the data are absent."""
    return json.loads(INDEX.read_text()) if INDEX.exists() else []


def _basic_block(config: dict[str, Any], name: str) -> nn.Layer:
    planes = config["planes"]
    shape = SlotShape(planes, 8, 8, bridged=(planes,))
    options = dict(make_block(name, {"reduction": config["reduction"]}).options)
    return BasicBlock(config["inplanes"], planes, 1, block_class(name)(shape, **options), None)


Parts = tuple[str, int, tuple[int, ...], dict[str, object]]
"""Block name, channels, bridged channels and options."""


def _parts(case: dict[str, Any]) -> Parts:
    config, cls = case["config"], case["origin"]["cls"]
    if cls in ("NONLocalBlock2D", "NonLocal2d", "NonLocal"):
        return _non_local(config, cls)
    if cls in ("ContextBlock", "GlobalContext"):
        return _global_context(config, cls)
    if cls in ("SELayer", "SEBlock"):
        options = {"reduction": config.get("reduction", config.get("r")), "bias": config["bias"]}
        return "se", config.get("channel", config.get("planes")), (), options
    assert cls == "BA_module_resnet", f"unknown origin {cls}"
    options = {"reduction": config["reduction"]}
    return "bridge", config["cur_channel"], tuple(config["pre_channels"]), options


def _non_local(config: dict[str, Any], cls: str) -> Parts:
    if cls == "NonLocal":
        return "nonlocal", config["inplanes"], (), {"scale": config["use_scale"]}
    channels = config["in_channels"]
    if cls == "NonLocal2d":  # mmcv's defaults: embedded Gaussian, reduction 2, scaled
        options = {
            "mode": config.get("mode", "embedded_gaussian"),
            "bottleneck_ratio": 1 / config.get("reduction", 2),
            "subsample": config.get("sub_sample", False),
            "scale": config.get("use_scale", True),
            "bn": "norm_cfg" in config,
        }
        return "nonlocal", channels, (), options
    options = {
        "mode": config["kind"],
        "bottleneck_ratio": config["inter_channels"] / channels,
        "subsample": config["sub_sample"],
        "bn": config["bn_layer"],
    }
    return "nonlocal", channels, (), options


def _global_context(config: dict[str, Any], cls: str) -> Parts:
    if cls == "GlobalContext":
        assert (config["fuse_add"], config["fuse_scale"], config["use_attn"]) == (True, False, True)
        return "gc", config["channels"], (), {"ratio": config["rd_ratio"]}
    fusions = {"channel_mul": "mul", "channel_add": "add"}
    options = {
        "ratio": config["ratio"],
        "fusion": "+".join(fusions[kind] for kind in config["fusion_types"]),
        "pooling": {"att": "attention", "avg": "average"}[config["pooling_type"]],
    }
    return "gc", config["inplanes"], (), options


def load(case: dict[str, Any]) -> Golden:
    """Our layer for a case of the index, its weights not yet set."""
    cls = case["origin"]["cls"]
    with np.load(FOLDER / f"{case['name']}.npz") as stored:
        arrays = {key: stored[key] for key in stored.files if key != "meta"}
    if cls in ("SEBasicBlock", "BABasicBlock"):
        layer = _basic_block(case["config"], "se" if cls == "SEBasicBlock" else "bridge")
        names = NAMES["SEBasicBlock"]
        if cls == "BABasicBlock":
            own = {"conv1": "conv1", "bn1": "norm1", "conv2": "conv2", "bn2": "norm2"}
            names = own | _bridge_names(1, "ba.", "before_add.")
        return Golden(case["name"], case["mode"], arrays, layer, layer, names)
    name, channels, bridged, given = _parts(case)
    height, width = arrays["x"].shape[2:]
    options = dict(make_block(name, given).options)
    layer = block_class(name)(SlotShape(channels, height, width, bridged), **options)
    golden = Golden(case["name"], case["mode"], arrays, layer, layer, NAMES.get(cls, {}))
    if name == "bridge":
        golden.names = _bridge_names(len(bridged))
        golden.call = lambda x, *earlier: layer.gate(*(t.flatten(1) for t in (*earlier, x)))
    if cls == "GlobalContext":
        layer.add[1]._epsilon = 1e-6  # timm's; the official code and ours have 1e-5
    if cls == "NonLocal2d" and "norm_cfg" in case["config"]:
        golden.zeroed = ("out.bias",)  # mmcv: no bias before a batch norm
    return golden
