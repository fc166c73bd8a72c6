"""What is exported computes what the network does, whatever block is in it; else it is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
import safetensors.numpy
from small_jobs import SE, thin

from models.architecture import Architecture, Backbone, Block, Placement, Slot
from models.attention import block_class, block_names, make_block
from models.build import build, plan, refuse_at
from models.errors import StorageError
from trainers import exported, onnx_model
from trainers.engine import Images, open_exported
from trainers.exported import INFERENCE, MODEL, ONNX, ONNX_FILE, WEIGHTS, export_forms
from trainers.onnx_limits import inexpressible
from trainers.parity import (
    TOLERANCE,
    ParityError,
    check_parity,
    difference,
    samples,
)

OPTIONS: dict[str, dict[str, object]] = {
    "bat": {"s": 2, "k": 2},
    "bridge": {"reduction": 4},
    "cbam": {"reduction": 4},
    "coord": {"reduction": 4},
    "fca": {"reduction": 4, "frequencies": "top4", "dct_size": 8},
    "gc": {"ratio": 0.25, "fusion": "mul+add"},
    "nonlocal": {"scale": True},
    "ortho": {"reduction": 4},
    "se": {"reduction": 4, "bias": True},
}
SLOT = Slot(3, 2, "before_add")
FEW = 4
needs_onnx = pytest.mark.skipif(onnx_model.missing() is not None, reason="the extra onnx")


def images(count: int, side: int = 8, seed: int = 0) -> Images:
    return np.random.default_rng(seed).normal(size=(count, 3, side, side)).astype(np.float32)


@pytest.fixture
def no_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_model, "missing", lambda: "onnxruntime not installed: pip")


def blocks() -> dict[str, Block]:
    """Every block, with every word and every switch that its options know.

    Not with every kernel size and set of frequencies, which change numbers alone.
    """
    found = {}
    for name in block_names():
        base = OPTIONS.get(name, {})
        found[name] = make_block(name, base)
        for option in block_class(name).options:
            known = (True, False) if isinstance(option.default, bool) else option.choices
            for choice in known if len(known) <= FEW else ():
                block = make_block(name, {**base, option.name: choice})
                if block not in found.values() and fits(block):
                    found[f"{name}-{option.name}-{choice}"] = block
    return found


def fits(block: Block) -> bool:
    return refuse_at(SLOT, block, plan(Architecture(Backbone(width=0.25)), 32)) is None


@pytest.mark.slow
@needs_onnx
@pytest.mark.parametrize(
    "block", [pytest.param(block, id=name) for name, block in blocks().items()]
)
def test_every_block_in_every_form(block: Block, tmp_path: Path) -> None:
    """Trained, as far as the network cares: its values are none that layers begin with."""
    placed = (Placement(SLOT, block),)
    network = build(Architecture(Backbone(width=0.25), placed), 32, seed=0)
    stir(network)
    made = export_forms(network, images(4, 32), tmp_path, {})
    assert made.no_onnx is None
    assert made.parity.keys() == {INFERENCE, ONNX}
    assert max(made.parity.values()) <= TOLERANCE
    found = onnx_model.open_onnx(tmp_path / ONNX_FILE)(images(7, 32, seed=3))
    expected = exported.answers_of(network)(images(7, 32, seed=3))
    assert difference(found, expected) <= TOLERANCE


@pytest.mark.slow
@needs_onnx
@pytest.mark.parametrize(
    "backbone",
    [
        Backbone(name="resnet50", width=0.25),
        Backbone(name="resnet18", stem="imagenet", width=0.25),
        Backbone(name="alexnet", width=0.25),
    ],
    ids=str,
)
def test_every_kind_of_backbone_in_every_form(backbone: Backbone, tmp_path: Path) -> None:
    network = build(Architecture(backbone), 64, seed=0)
    stir(network)
    made = export_forms(network, images(2, 64), tmp_path, {})
    assert made.no_onnx is None
    assert max(made.parity.values()) <= TOLERANCE


def stir(network: paddle.nn.Layer) -> None:
    """Running statistics and gains that are none of the initial ones."""
    rng = np.random.default_rng(0)
    for name, value in network.state_dict().items():
        if name.endswith(("_mean", "_variance", "gain", ".bias")):
            noise = rng.uniform(0.5, 1.5, value.shape).astype(np.float32)
            value.set_value(noise)


@needs_onnx
def test_all_files_and_what_is_in_them(tmp_path: Path) -> None:
    import onnxruntime

    network = build(thin(SE), 8, seed=0)
    made = export_forms(network, images(4), tmp_path, {"class_names": '["dark", "light"]'})
    assert {path.name for path in tmp_path.iterdir()} == set(exported.FILES)
    assert made.no_onnx is None
    saved = safetensors.numpy.load_file(tmp_path / WEIGHTS)
    assert saved.keys() == network.state_dict().keys()
    session = onnxruntime.InferenceSession(str(tmp_path / ONNX_FILE))
    (given,), (result,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.shape) == ("images", ["batch", 3, 8, 8])
    assert (result.name, result.shape) == ("logits", ["batch", 2])
    assert session.get_modelmeta().custom_metadata_map == {"class_names": '["dark", "light"]'}


@pytest.mark.usefixtures("no_onnx")
def test_without_the_extra_it_says_how_to_get_it(tmp_path: Path) -> None:
    made = export_forms(build(thin(), 8, seed=0), images(4), tmp_path, {})
    assert made.no_onnx == "onnxruntime not installed: pip"
    assert made.parity.keys() == {INFERENCE}
    assert not (tmp_path / ONNX_FILE).exists()


@pytest.mark.usefixtures("no_onnx")
def test_images_of_another_size_are_resized_as_in_training(tmp_path: Path) -> None:
    """The data set keeps them at 12 pixels, and the network was trained at 8."""
    network = build(thin(SE), 8, seed=0)
    stir(network)
    export_forms(network, images(4, 12), tmp_path, {})
    given = paddle.nn.functional.interpolate(
        paddle.to_tensor(images(3, 12, seed=1)), size=(8, 8), mode="bilinear"
    )
    with paddle.no_grad():
        expected = network(given).numpy()
    found = open_exported(tmp_path / MODEL)(images(3, 12, seed=1))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.usefixtures("no_onnx")
def test_an_inference_model_of_other_values_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if Paddle had written another network, or lost the running statistics."""
    real = exported.export

    def broken(network: Any, *given: Any) -> Path:
        value = next(v for k, v in network.state_dict().items() if k.endswith("_mean"))
        kept = value.clone()
        value.set_value(value + 0.5)
        path = real(network, *given)
        value.set_value(kept)
        return path

    monkeypatch.setattr(exported, "export", broken)
    with pytest.raises(ParityError, match=r"^Paddle Inference: its logits are off by .*1e-04|0001"):
        export_forms(build(thin(SE), 8, seed=0), images(4), tmp_path, {})


@pytest.mark.slow
@needs_onnx
def test_an_onnx_model_of_other_values_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the weights of another network, but whole and runnable."""
    other = tmp_path / "other"
    other.mkdir()
    export_forms(build(thin(SE), 8, seed=1), images(4), other, {})

    def convert(_model: Path, target: Path, _notes: object) -> None:
        target.write_bytes((other / ONNX_FILE).read_bytes())

    monkeypatch.setattr(onnx_model, "convert", convert)
    with pytest.raises(ParityError, match=r"^ONNX Runtime: its logits are off"):
        export_forms(build(thin(SE), 8, seed=0), images(4), tmp_path, {})


@pytest.mark.parametrize("content", [b"", b"no model"])
def test_an_onnx_model_that_cannot_be_run_is_left_out_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setattr(onnx_model, "missing", lambda: None)
    monkeypatch.setattr(onnx_model, "convert", lambda _, target, __: target.write_bytes(content))
    made = export_forms(build(thin(), 8, seed=0), images(4), tmp_path, {})
    assert made.no_onnx is not None
    assert made.no_onnx.startswith("ONNX Runtime cannot run it")
    assert not (tmp_path / ONNX_FILE).exists()


@needs_onnx
@pytest.mark.parametrize(("dct_size", "expressible"), [(8, True), (7, False), (32, False)])
def test_adaptive_pooling_is_expressed_where_its_windows_are_equal(
    tmp_path: Path, dct_size: int, expressible: bool
) -> None:
    """A map of 16 × 16: paddle2onnx would write other numbers for 7 × 7, in silence."""
    fca = make_block("fca", {"reduction": 4, "frequencies": "top4", "dct_size": dct_size})
    placed = Placement(Slot(1, 1, "before_add"), fca)
    network = build(Architecture(Backbone(width=0.25), (placed,)), 16, seed=0)
    made = export_forms(network, images(4, 16), tmp_path, {})
    assert (made.no_onnx is None) == expressible == (tmp_path / ONNX_FILE).is_file()
    if made.no_onnx is not None:
        assert made.no_onnx == (
            "FrequencyChannelAttention pools adaptively from 16 × 16 to "
            f"{dct_size} × {dct_size}, in windows of several sizes, which ONNX does not have"
        )


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"program": {"regions": [{"blocks": [1]}]}}'])
def test_a_program_of_another_version_is_not_judged(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.json").write_text(text)
    assert inexpressible(tmp_path / "model.json") is None


@needs_onnx
def test_what_ends_the_converter_ends_only_that(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{}")
    (tmp_path / "bad.pdiparams").write_bytes(b"")
    with pytest.raises(onnx_model.ConversionError, match="paddle2onnx ended with"):
        onnx_model.convert(tmp_path / "bad", tmp_path / "bad.onnx", {})


@pytest.mark.usefixtures("no_onnx")
def test_a_model_that_was_cut_short_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paddle says nothing where the disk took half of it."""
    real = exported.export

    def cut(*given: Any) -> Path:
        path: Path = real(*given)
        params = path.with_name("model.pdiparams")
        params.write_bytes(params.read_bytes()[:1000])
        return path

    monkeypatch.setattr(exported, "export", cut)
    with pytest.raises(StorageError, match=r"1,000 of at least .* is the disk full"):
        export_forms(build(thin(SE), 8, seed=0), images(4), tmp_path, {})


def test_the_scale_is_that_of_the_logits_but_not_less_than_one() -> None:
    small, large = np.full((1, 2), 0.001, np.float32), np.full((1, 2), 50.0, np.float32)
    off = np.float32(0.004)
    assert difference(small + off, small) == pytest.approx(0.004, rel=1e-3)
    assert difference(large + off, large) == pytest.approx(0.004 / 50, rel=1e-2)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_no_number_is_never_near(value: float) -> None:
    fine, bad = np.zeros((1, 2), np.float32), np.full((1, 2), value, np.float32)
    assert difference(bad, fine) == difference(fine, bad) == difference(bad, bad) == np.inf
    assert difference(np.zeros((1, 3), np.float32), fine) == np.inf


def test_one_wrong_logit_of_one_batch_size_is_enough() -> None:
    def right(batch: Images) -> Images:
        return np.stack([batch.mean(axis=(1, 2, 3)), batch.max(axis=(1, 2, 3))], axis=1)

    def wrong(batch: Images) -> Images:
        logits = right(batch)
        if len(batch) == 5:
            logits[4, 1] += 0.01
        return logits

    batches = samples(images(4))
    assert {len(batch) for batch in batches} == {4, 1, 5}
    assert check_parity(right, {"a": right}, batches) == {"a": 0.0}
    with pytest.raises(ParityError, match=r"^b: .* at 5 images; allowed: 0\.0001"):
        check_parity(right, {"a": right, "b": wrong}, batches)
