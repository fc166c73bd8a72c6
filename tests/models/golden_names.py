"""How the official implementations name their tensors, and what we call the same ones.

`NAMES` has a table for every class of the index: original layer -> ours. Two originals of one layer
of ours are variants of which a case has one (a pooled projection is `g.0`, a plain one `g`). A full
name, with its last part, is translated as it stands.
"""

LEAVES = {
    "weight": "weight",
    "bias": "bias",
    "running_mean": "_mean",
    "running_var": "_variance",
}
"""The last part of a name. Whether a tensor is laid out differently is `golden_compare`'s."""

ATTENTION = "attention.before_add."
"""Where the attention of a residual block of ours is."""


def _inside(layers: dict[str, str]) -> dict[str, str]:
    """The table with our side inside a residual block's attention."""
    return {theirs: ATTENTION + ours for theirs, ours in layers.items()}


def _bridge(earlier: int, theirs: str = "") -> dict[str, str]:
    """The bridge module that reads so many earlier maps; their names begin with `theirs`."""
    names = {f"{theirs}generation.1": "generate"}
    for i, source in enumerate([*(f"pre_fusions.{i}" for i in range(earlier)), "cur_fusion"]):
        names |= {f"{theirs}{source}.0": f"bridges.{i}", f"{theirs}{source}.1": f"norms.{i}"}
    return names


_TWO_CONVS = {"conv1": "convs.0", "bn1": "norms.0", "conv2": "convs.1", "bn2": "norms.1"}
_THREE_CONVS = _TWO_CONVS | {"conv3": "convs.2", "bn3": "norms.2"}

_ORTHO = {
    "_process.0": "convs.0",
    "_process.1": "norms.0",
    "_process.3": "convs.1",
    "_process.4": "norms.1",
    "_process.6": "convs.2",  # Bottleneck only, as is the next
    "_process.7": "norms.2",
} | _inside(
    {
        "_excitation.0": "mlp.squeeze",
        "_excitation.2": "mlp.excite",
        "F_C_A.constant_filter": "filters",
    }
)

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
        "concat_project.0": "pair",
    },
    "NonLocal2d": {
        "g.conv": "g",
        "g.0.conv": "g",
        "theta.conv": "theta",
        "phi.conv": "phi",
        "phi.0.conv": "phi",
        "conv_out.conv": "out",
        "conv_out.bn": "norm",
        "concat_project.conv": "pair",
    },
    "NonLocal": {"t": "theta", "p": "phi", "g": "g", "z": "out", "bn": "norm"},
    "SimplifiedNonLocal2DEmbeddedGaussian": {
        "w_k": "pool.mask",
        "w_v.0": "value",
        "w_v.1": "norm",
    },
    "ContextBlock": {
        "conv_mask": "pool.mask",
        "channel_add_conv.0": "add.0",
        "channel_add_conv.1": "add.1",
        "channel_add_conv.3": "add.3",
        "channel_mul_conv.0": "mul.0",
        "channel_mul_conv.1": "mul.1",
        "channel_mul_conv.3": "mul.3",
    },
    "GlobalContext": {
        "conv_attn": "pool.mask",
        "mlp_add.fc1": "add.0",
        "mlp_add.norm": "add.1",
        "mlp_add.fc2": "add.3",
        "mlp_scale.fc1": "mul.0",
        "mlp_scale.norm": "mul.1",
        "mlp_scale.fc2": "mul.3",
    },
    "BATBlock": {
        "conv1.0": "reduce.0",
        "conv1.1": "reduce.1",
        "batransform.conv1.0": "observe.0",
        "batransform.conv1.1": "observe.1",
        "batransform.conv_p": "rows",
        "batransform.conv_q": "columns",
        "batransform.conv2.0": "transform.0",
        "batransform.conv2.1": "transform.1",
        "conv2.0": "restore.0",
        "conv2.1": "restore.1",
    },
    "BatNonLocalAttn": {
        "conv1.conv": "reduce.0",
        "conv1.bn": "reduce.1",
        "ba.conv1.conv": "observe.0",
        "ba.conv1.bn": "observe.1",
        "ba.conv_p": "rows",
        "ba.conv_q": "columns",
        "ba.conv2.conv": "transform.0",
        "ba.conv2.bn": "transform.1",
        "conv2.conv": "restore.0",
        "conv2.bn": "restore.1",
    },
    "SELayer": {"fc.0": "mlp.squeeze", "fc.2": "mlp.excite"},
    "SEBlock": {"excitation.0": "mlp.squeeze", "excitation.2": "mlp.excite"},
    "SEBasicBlock": _TWO_CONVS | _inside({"se.fc.0": "mlp.squeeze", "se.fc.2": "mlp.excite"}),
    "BasicBlock": _ORTHO,
    "Bottleneck": _ORTHO,
    "MultiSpectralAttentionLayer": {
        "fc.0": "mlp.squeeze",
        "fc.2": "mlp.excite",
        "dct_layer.weight": "filters",
    },
    "eca_layer": {"conv": "conv"},
    "CBAM": {
        "ChannelGate.mlp.1": "mlp.squeeze",
        "ChannelGate.mlp.3": "mlp.excite",
        "SpatialGate.spatial.conv": "conv",
        "SpatialGate.spatial.bn": "norm",
    },
    "simam_module": {},
    "CoordAtt": {"conv1": "conv", "bn1": "norm", "conv_h": "conv_h", "conv_w": "conv_w"},
    "BABasicBlock": _TWO_CONVS | _inside(_bridge(1, "ba.")),
    "BABottleneck": _THREE_CONVS | _inside(_bridge(2, "ba.")),
    "SEBottleneck": _THREE_CONVS | _inside({"se.fc.0": "mlp.squeeze", "se.fc.2": "mlp.excite"}),
}

BRIDGES = {earlier: _bridge(earlier) for earlier in range(1, 6)}
"""`BA_module_resnet` and `BA_module_efficientnet`, by the number of earlier maps."""
