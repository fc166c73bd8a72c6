"""Our blocks against the recorded numbers of the official implementations."""

from typing import Any

import paddle
import pytest
from golden_cases import ABSENT, INDEX, index, load
from golden_compare import compare, set_weights

from models.attention import block_names

FAMILIES = ("nl_", "gc_", "se_", "ba_")
NOT_EXPRESSIBLE = {
    "nl_ah7_concat_sub_bn": "the option mode has no `concatenation`",
    "nl_ah7_concat_full_nobn": "the option mode has no `concatenation`",
    "ba_module_effnet_96_96_r6": "SiLU between the layers; ours, as the paper, has ReLU",
}
NOT_IN_CATALOGUE = ("bat", "ortho", "fca", "eca", "cbam", "simam", "coord", "snl")
RUN = [c for c in index() if c["name"].startswith(FAMILIES) and c["name"] not in NOT_EXPRESSIBLE]

pytestmark = pytest.mark.skipif(not INDEX.exists(), reason=ABSENT)


@pytest.mark.parametrize("case", RUN, ids=lambda case: case["name"])
def test_values_and_gradients_are_the_official_ones(
    case: dict[str, Any], golden_ran: set[str]
) -> None:
    golden = load(case)
    compare(golden)
    trained = sum(p.size for p in golden.layer.parameters() if p.trainable)
    assert trained == case["trainable_params"] + _sizes(golden.layer, golden.zeroed)
    golden_ran.add(case["name"])


def test_every_case_is_run_or_listed_with_a_reason() -> None:
    names = {case["name"] for case in index()}
    known = {case["name"] for case in RUN} | set(NOT_EXPRESSIBLE)
    outside = {name for name in names - known if name.startswith(NOT_IN_CATALOGUE)}
    assert names - known - outside == set()
    assert set(NOT_EXPRESSIBLE) <= names
    assert len(RUN) == 26


def test_blocks_left_out_are_not_in_the_catalogue() -> None:
    assert [name for name in block_names() if name.startswith(NOT_IN_CATALOGUE)] == []


def test_a_golden_tensor_without_a_place_is_an_error() -> None:
    golden = load(_case("se_bias_r16"))
    golden.arrays["w/excitation.4.weight"] = golden.arrays["w/excitation.2.weight"]
    with pytest.raises(KeyError, match=r"excitation\.4"):
        set_weights(golden)


def test_a_tensor_of_ours_left_unset_is_an_error() -> None:
    golden = load(_case("se_bias_r16"))
    del golden.arrays["w/excitation.0.bias"]
    with pytest.raises(AssertionError, match=r"never set: \['squeeze.bias'\]"):
        set_weights(golden)


def test_a_tensor_of_another_shape_is_an_error() -> None:
    golden = load(_case("se_bias_r16"))
    golden.arrays["w/excitation.0.weight"] = golden.arrays["w/excitation.2.weight"]
    with pytest.raises(AssertionError, match="ours"):
        set_weights(golden)


def _case(name: str) -> dict[str, Any]:
    return next(case for case in index() if case["name"] == name)


def _sizes(layer: paddle.nn.Layer, names: tuple[str, ...]) -> int:
    return sum(dict(layer.named_parameters())[name].size for name in names)
