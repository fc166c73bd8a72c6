"""Weights to begin with: found, tried on the backbone, and inherited; or refused in one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest

from models.architecture import Architecture, Backbone, Placement, Slot
from models.attention import make_block
from models.backbone import BackboneNetwork
from models.build import build
from models.checksum import sha256, write_with_checksum
from models.errors import InputError
from trainers import start
from trainers.config import TrainingConfig
from trainers.messages import Start
from trainers.start import find_start, inherit_start, refuse_changed, save_start

SIDE = 16
THIN = Backbone(width=0.0625)
SE = Placement(Slot(4, 2, "before_add"), make_block("se", {"reduction": 4}))
FLAG = "-o training.warm.new_classifier=true"
State = dict[str, np.ndarray]


def network(backbone: Backbone = THIN, *placed: Placement, seed: int = 0) -> BackboneNetwork:
    return build(Architecture(backbone, placed), SIDE, seed)


def state(of: BackboneNetwork) -> State:
    return {key: value.numpy().copy() for key, value in of.state_dict().items()}


def images() -> paddle.Tensor:
    values = np.random.default_rng(0).normal(size=(8, 3, SIDE, SIDE))
    return paddle.to_tensor(values.astype(np.float32))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[State], Path]:
    """Writes a state, with its checksum, as a study does."""

    def write_state(content: State) -> Path:
        path = tmp_path / "w.safetensors"
        tensors = {key: paddle.to_tensor(value) for key, value in content.items()}
        write_with_checksum(path, lambda file: paddle.save(tensors, str(file), safetensors=True))
        return path

    return write_state


def found(path: Path | str, backbone: Backbone = THIN, **warm: Any) -> Start:
    config = TrainingConfig.model_validate({"start": str(path), "warm": warm})
    return find_start(config, backbone, SIDE)


def refusal(path: Path | str, backbone: Backbone = THIN, **warm: Any) -> str:
    """How a file is refused: in one line that names the key and the file."""
    with pytest.raises(InputError) as caught:
        found(path, backbone, **warm)
    message = str(caught.value)
    assert message.startswith(f"training.start: {path}: ")
    assert "\n" not in message
    return message


def flip_a_bit(path: Path, position: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


# Found.


def test_weights_that_fit_are_found(
    write: Callable[[State], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(state(network(seed=3)))
    wanted = Start(str(path.resolve()), sha256(path))
    assert found(path) == wanted
    monkeypatch.chdir(path.parent)
    assert found(path.name) == wanted, "workers have another working directory"


def test_a_file_without_a_checksum_beside_it_is_taken(write: Callable[[State], Path]) -> None:
    path = write(state(network()))
    path.with_name(f"{path.name}.sha256").unlink()
    assert found(path).checksum == sha256(path)


# Refused.


def test_other_widths_and_depths_are_refused(write: Callable[[State], Path]) -> None:
    path = write(state(network()))
    message = refusal(path, Backbone(width=0.125))
    assert "the weights do not fit the network; of another shape in the weights: stem.0." in message
    assert FLAG not in message, "it would not help"
    deeper = refusal(path, Backbone(name="resnet34", width=0.0625))
    assert "not in the weights: blocks." in deeper
    shallower = refusal(write(state(network(Backbone(name="resnet34", width=0.0625)))))
    assert "not in the weights: blocks.2.shortcut." in shallower


def test_another_stem_is_refused_with_what_takes_it(write: Callable[[State], Path]) -> None:
    path = write(state(network(Backbone(width=0.0625, stem="imagenet"))))
    assert "`stem: imagenet` in the backbone section takes it" in refusal(path)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("blocks.3.convs.1.weight", None, "not in the weights: blocks.3.convs.1.weight"),
        ("norms.9.bias", np.zeros(4), "in the weights, but not in the network: norms.9.bias"),
        ("blocks.0.norms.0.bias", np.zeros(5), "of another shape in the weights: blocks.0.norms.0"),
        ("blocks.0.norms.0.bias", np.full(4, np.nan), "infinite or not a number: blocks.0.norms.0"),
    ],
)
def test_each_tensor_that_does_not_fit_is_named(
    write: Callable[[State], Path], name: str, change: np.ndarray | None, words: str
) -> None:
    content = state(network())
    content.pop(name, None)
    if change is not None:
        content[name] = change.astype(np.float32)
    assert f"the weights do not fit the network; {words}" in refusal(write(content))


def test_weights_with_attention_do_not_fit_the_backbone(write: Callable[[State], Path]) -> None:
    message = refusal(write(state(network(THIN, SE))))
    assert "in the weights, but not in the network: blocks.7.attention." in message


@pytest.mark.parametrize("position", [0, 100, -1])
def test_one_flipped_bit_is_refused(write: Callable[[State], Path], position: int) -> None:
    path = write(state(network()))
    found(path)
    flip_a_bit(path, position)
    assert "its SHA-256 is not the one in w.safetensors.sha256: it is damaged" in refusal(path)


def test_what_is_no_file_of_weights_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.safetensors").endswith("there is no such file")
    assert refusal(tmp_path).endswith("is a folder, not a file of weights")
    (tmp_path / "w.h5").write_bytes(b"abc")
    assert ".safetensors and .pdparams" in refusal(tmp_path / "w.h5")


# Another classifier.


def test_other_classes_need_a_new_classifier(write: Callable[[State], Path]) -> None:
    path = write(state(network(Backbone(width=0.0625, classes=7))))
    message = refusal(path)
    assert "classifier.bias [7] instead of [10]" in message
    assert message.endswith(f"for other classes than the file's: {FLAG}")
    assert "--new-classifier" not in message, "run_search.py has no such option"
    assert found(path, new_classifier=True) == Start(str(path), sha256(path), new_classifier=True)


def test_weights_of_paddle_get_a_new_classifier(
    write: Callable[[State], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(state(network(Backbone(width=0.0625, classes=7))))
    monkeypatch.setattr(start, "published_weights", {THIN: path}.__getitem__)
    assert found("paddle") == Start(str(path), sha256(path), new_classifier=True)


@pytest.mark.parametrize(
    ("backbone", "said"),
    [
        (Backbone(name="alexnet"), "Paddle publishes no weights for alexnet"),
        (THIN, "what Paddle publishes for resnet18 has the 7×7 stem and width 1"),
    ],
)
def test_where_paddle_publishes_none_the_key_is_named(backbone: Backbone, said: str) -> None:
    with pytest.raises(InputError, match=f"^training.start: {said}"):
        find_start(TrainingConfig(start="paddle"), backbone, 64)


# Inherited.


def test_a_network_inherits_the_weights(write: Callable[[State], Path]) -> None:
    trained = network(seed=5)
    heir = network(seed=0)
    inherit_start(heir, found(write(state(trained))), images())
    for key, value in state(trained).items():
        assert np.array_equal(state(heir)[key], value), key


def test_attention_begins_as_the_identity(write: Callable[[State], Path]) -> None:
    trained, heir = network(seed=5), network(THIN, SE, seed=0)
    inherit_start(heir, found(write(state(trained))), images())
    trained.eval()
    heir.eval()
    with paddle.no_grad():
        assert np.allclose(trained(images()).numpy(), heir(images()).numpy(), atol=1e-5)


def test_a_new_classifier_stays_as_it_was_drawn(write: Callable[[State], Path]) -> None:
    trained = network(Backbone(width=0.0625, classes=7), seed=5)
    heir = network(seed=0)
    before = state(heir)
    inherit_start(heir, found(write(state(trained)), new_classifier=True), images())
    after = state(heir)
    for key in after:
        wanted = before[key] if key.startswith("classifier.") else state(trained)[key]
        assert np.array_equal(after[key], wanted), key


def test_what_was_saved_is_what_is_inherited(tmp_path: Path) -> None:
    trained, heir = network(seed=5), network(seed=0)
    saved = save_start(trained, tmp_path / "baseline.safetensors")
    assert saved == Start(str(tmp_path / "baseline.safetensors"), sha256(Path(saved.path)))
    inherit_start(heir, saved, images())
    assert all(np.array_equal(state(heir)[key], value) for key, value in state(trained).items())


def test_another_file_than_the_studys_is_not_inherited(write: Callable[[State], Path]) -> None:
    """Its own checksum may fit: what counts is the one that the study holds."""
    noted = found(write(state(network(seed=5))))
    path = write(state(network(seed=6)))
    heir = network(seed=0)
    before = state(heir)
    with pytest.raises(InputError, match="not the one the study began with") as caught:
        inherit_start(heir, noted, images())
    assert str(caught.value).startswith(f"{path}: ")
    assert "put the old file back, or begin anew (--fresh)" in str(caught.value)
    assert all(np.array_equal(state(heir)[key], value) for key, value in before.items())


def test_a_file_that_is_gone_is_missed_with_what_to_do(write: Callable[[State], Path]) -> None:
    noted = found(write(state(network())))
    refuse_changed(noted)
    Path(noted.path).unlink()
    with pytest.raises(InputError, match="inherit are gone: put the file back, or begin anew"):
        refuse_changed(noted)


def test_all_that_does_not_fit_is_named_with_its_shapes(write: Callable[[State], Path]) -> None:
    content = state(network())
    del content["blocks.3.convs.1.weight"]
    content["norms.9.bias"] = np.zeros(4, np.float32)
    content["blocks.0.norms.0.bias"] = np.zeros(5, np.float32)
    message = refusal(write(content))
    assert "not in the weights: blocks.3.convs.1.weight; " in message
    assert "in the weights, but not in the network: norms.9.bias; " in message
    assert "of another shape in the weights: blocks.0.norms.0.bias [5] instead of [4]" in message
