"""Our layer for every class of official implementation the golden numbers were recorded from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from paddle import nn

from models.attention import block_class, make_block
from models.block import AttentionBlock, SlotShape
from models.residual_block import BASIC, BOTTLENECK, BlockKind, ResidualBlock, block_shapes

Config = Mapping[str, Any]


def _alexhex7(config: Config) -> dict[str, object]:
    return {
        "mode": config["kind"],
        "bottleneck_ratio": config["inter_channels"] / config["in_channels"],
        "subsample": config["sub_sample"],
        "bn": config["bn_layer"],
    }


def _mmcv(config: Config) -> dict[str, object]:
    """mmcv's defaults: embedded Gaussian, reduction 2, scaled."""
    return {
        "mode": config.get("mode", "embedded_gaussian"),
        "bottleneck_ratio": 1 / config.get("reduction", 2),
        "subsample": config.get("sub_sample", False),
        "scale": config.get("use_scale", True),
        "bn": "norm_cfg" in config,
    }


def _gcnet(config: Config) -> dict[str, object]:
    fusions = {"channel_mul": "mul", "channel_add": "add"}
    return {
        "ratio": config["ratio"],
        "fusion": "+".join(fusions[kind] for kind in config["fusion_types"]),
        "pooling": {"att": "attention", "avg": "average"}[config["pooling_type"]],
    }


def _timm_gc(config: Config) -> dict[str, object]:
    used = [("mul", config["fuse_scale"]), ("add", config["fuse_add"])]
    return {
        "ratio": config["rd_ratio"],
        "fusion": "+".join(fusion for fusion, here in used if here),
        "pooling": "attention" if config["use_attn"] else "average",
    }


def _fcanet(config: Config) -> dict[str, object]:
    assert config["dct_h"] == config["dct_w"]
    return {
        "reduction": config["reduction"],
        "frequencies": config["freq_sel_method"],
        "dct_size": config["dct_h"],
    }


def _coordinate(config: Config) -> dict[str, object]:
    assert config["inp"] == config["oup"]
    return {"reduction": config["reduction"]}


@dataclass(frozen=True)
class Origin:
    """A class of the index: our block, its options from the recorded configuration.

    `inside`: the original is a whole residual block of that kind, our block is its attention.
    """

    block: str
    options: Callable[[Config], dict[str, object]]
    inside: BlockKind | None = None


ORIGINS: dict[str, Origin] = {
    "NONLocalBlock2D": Origin("nonlocal", _alexhex7),
    "NonLocal2d": Origin("nonlocal", _mmcv),
    "NonLocal": Origin("nonlocal", lambda config: {"scale": config["use_scale"]}),
    "SimplifiedNonLocal2DEmbeddedGaussian": Origin("snl", lambda _: {"bn": True}),
    "ContextBlock": Origin("gc", _gcnet),
    "GlobalContext": Origin("gc", _timm_gc),
    "BATBlock": Origin("bat", lambda c: {key: c[key] for key in ("s", "k", "r", "dropout")}),
    "BatNonLocalAttn": Origin(
        "bat",
        lambda config: {
            "s": config["block_size"],
            "k": config["groups"],
            "r": config["in_channels"] // config["rd_channels"],
        },
    ),
    "SELayer": Origin("se", lambda c: {"reduction": c["reduction"], "bias": c["bias"]}),
    "SEBlock": Origin("se", lambda c: {"reduction": c["r"], "bias": c["bias"]}),
    "SEBasicBlock": Origin("se", lambda c: {"reduction": c["reduction"]}, BASIC),
    "SEBottleneck": Origin("se", lambda c: {"reduction": c["reduction"]}, BOTTLENECK),
    "BasicBlock": Origin("ortho", lambda _: {}, BASIC),  # OrthoNets: r is 16, always
    "Bottleneck": Origin("ortho", lambda _: {}, BOTTLENECK),
    "initialize_orthogonal_filters": Origin("ortho", lambda _: {}),
    "MultiSpectralAttentionLayer": Origin("fca", _fcanet),
    "eca_layer": Origin("eca", lambda config: {"kernel": config["k_size"]}),
    "CBAM": Origin(
        "cbam",
        lambda config: {
            "reduction": config["reduction_ratio"],
            "spatial": not config.get("no_spatial", False),
        },
    ),
    "simam_module": Origin("simam", lambda config: {"e_lambda": config["e_lambda"]}),
    "CoordAtt": Origin("coord", _coordinate),
    "BA_module_resnet": Origin("bridge", lambda c: {"reduction": c["reduction"]}),
    "BA_module_efficientnet": Origin(
        "bridge", lambda c: {"reduction": c["reduction"], "activation": "silu"}
    ),
    "BABasicBlock": Origin("bridge", lambda c: {"reduction": c["reduction"]}, BASIC),
    "BABottleneck": Origin("bridge", lambda c: {"reduction": c["reduction"]}, BOTTLENECK),
}


def make_layer(case: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> nn.Layer:
    """Our layer for a case of the index, for maps of the recorded sizes; weights not yet set."""
    config, origin = case["config"], ORIGINS[case["origin"]["cls"]]
    _, channels, height, width = arrays["x"].shape
    if origin.inside is None:
        earlier = sorted(key for key in arrays if key[0] == "x" and key != "x")  # x1, x2
        bridged = tuple(arrays[key].shape[1] for key in earlier)
        return _block(origin, config, SlotShape(channels, height, width, bridged))
    given = (origin.inside, channels, config["planes"], 1)  # no case has a stride
    shape = block_shapes(*given, height)["before_add"]
    return ResidualBlock(*given, {"before_add": _block(origin, config, shape)}.get)


def attention_of(layer: nn.Layer) -> AttentionBlock:
    """The block in what `make_layer` made."""
    return layer if isinstance(layer, AttentionBlock) else layer.attention["before_add"]


def _block(origin: Origin, config: Config, shape: SlotShape) -> AttentionBlock:
    options = dict(make_block(origin.block, origin.options(config)).options)
    return block_class(origin.block)(shape, **options)
