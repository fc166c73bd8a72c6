"""Values inside our layers that golden cases recorded inside the original, by their names there."""

import numpy as np
import paddle
from golden_cases import Golden


def our_aux(golden: Golden) -> dict[str, np.ndarray]:
    """Every value that is recorded for a block of this kind, in evaluation mode."""
    assert golden.mode == "eval"
    with paddle.no_grad():
        return {"bat": _bat, "nonlocal": _nonlocal, "ortho": _ortho}[golden.block](golden)


def _nonlocal(golden: Golden) -> dict[str, np.ndarray]:
    """The weights between positions."""
    return {"attn": golden.layer.affinity(paddle.to_tensor(golden.arrays["x"])).numpy()}


def _bat(golden: Golden) -> dict[str, np.ndarray]:
    """What goes into and comes out of the bilinear transform, and its matrices at full size."""
    outputs = _outputs(golden)
    u = outputs["reduce"]
    p, q = golden.attention.matrices(u)
    identity = np.eye(u.shape[2] // p.shape[2])[None, None]
    return {
        "bat_in": u.numpy(),
        "conv_p_out": outputs["rows"].numpy(),
        "conv_q_out": outputs["columns"].numpy(),
        "P_big": np.kron(p.numpy(), identity),
        "Q_big": np.kron(q.numpy(), identity),
        "bat_out": outputs["transform"].numpy(),
    }


def _ortho(golden: Golden) -> dict[str, np.ndarray]:
    """What goes into the attention of a residual block, and its squeeze."""
    given = _outputs(golden)[f"norms.{len(golden.layer.norms) - 1}"]
    return {"fca_in": given.numpy(), "squeeze": golden.attention.squeeze(given).numpy()}


def _outputs(golden: Golden) -> dict[str, paddle.Tensor]:
    """What every layer inside gives for the recorded x, by the layer's name."""
    seen: dict[str, paddle.Tensor] = {}
    hooks = []
    for name, layer in golden.layer.named_sublayers():

        def keep(_layer: object, _given: object, output: paddle.Tensor, name: str = name) -> None:
            seen[name] = output

        hooks.append(layer.register_forward_post_hook(keep))
    golden.call(paddle.to_tensor(golden.arrays["x"]))
    for hook in hooks:
        hook.remove()
    return seen
