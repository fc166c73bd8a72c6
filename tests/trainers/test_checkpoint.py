"""Checkpoints: what is on the disk is whole, and a training that goes on from it is the same."""

import hashlib
import json
import os
import pickle
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from malicious_pickle import Payload
from trainings import BACKBONE, SIDE, on_device, training, untimed, validation

from models.architecture import Architecture, Placement, Slot
from models.attention import make_block
from models.build import build
from models.errors import StorageError
from models.insertion import inherit
from trainers import checkpoint
from trainers.checkpoint import Checkpoint, Checkpoints
from trainers.config import TrainingConfig
from trainers.messages import EpochResult
from trainers.quiet import Quiet
from trainers.train import train

PLAIN = Architecture(BACKBONE)
DROPPING = Architecture(
    BACKBONE, (Placement(Slot(1, 2, "before_add"), make_block("bat", {"k": 2, "dropout": 0.5})),)
)
FADED = Architecture(BACKBONE, (Placement(Slot(1, 2, "before_add"), make_block("simam", {})),))
EPOCHS = 4


def results(
    quiet: Quiet,
    checkpoints: Checkpoints | None = None,
    until: int = EPOCHS,
    architecture: Architecture = PLAIN,
    device: bool = False,
    **given: Any,
) -> list[EpochResult]:
    """A training of four epochs, gone on with where it can be, killed after `until`."""
    config = TrainingConfig.model_validate({"epochs": EPOCHS, "learning_rate": 0.05} | given)
    network, inherited = build(architecture, SIDE, 0), architecture is FADED
    if inherited:
        inherit(network, {k: v.numpy() for k, v in build(PLAIN, SIDE, 1).state_dict().items()})
    batches, judges = on_device(0) if device else (training(0), validation())
    begun = checkpoints.latest() if checkpoints else None
    found = list(begun.curve if begun else ())
    for epoch in train(
        network, batches, judges, config, image_size=SIDE, quiet=quiet, inherited=inherited,
        checkpoints=checkpoints, begun=begun,
    ):  # fmt: skip
        found.append(epoch)
        if len(found) == until:
            break
    return found


@pytest.mark.parametrize("until", [1, 3])
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"optimizer": "adam", "learning_rate": 0.01},
        {"average": 0.9},
        {"mixup": 0.3},
        {"norm_bias_factor": 8.0},
        {"architecture": DROPPING},
        {"architecture": FADED},
        {"device": True},
    ],
    ids=lambda given: ",".join(given) or "plain",
)
def test_what_goes_on_is_the_same_training(
    quiet: Quiet, tmp_path: Path, given: Mapping[str, Any], until: int
) -> None:
    """To the last bit, though Paddle counts its parameters on and draws on for other networks."""
    whole = results(quiet, **given)
    begun = results(quiet, Checkpoints(tmp_path, "x"), until, **given)
    assert untimed(begun) == untimed(whole[:until]), "to keep its state changes nothing"
    again = results(quiet, Checkpoints(tmp_path, "x"), **given)
    assert again[:until] == begun, "seconds as well: these epochs are not trained again"
    assert untimed(again) == untimed(whole)


def test_without_the_optimizers_state_it_would_not_be_the_same(
    quiet: Quiet, tmp_path: Path
) -> None:
    """So the test above sees what it is to see."""
    whole = results(quiet)
    results(quiet, Checkpoints(tmp_path, "x"), 2)

    class Forgetful(Checkpoints):
        def latest(self) -> Checkpoint | None:
            found = super().latest()
            assert found is not None
            kept = {k: v * (not k.startswith("optimizer/")) for k, v in found.arrays.items()}
            return replace(found, arrays=kept)

    again = results(quiet, Forgetful(tmp_path, "x"))
    assert untimed(again)[2:] != untimed(whole)[2:]


def test_one_that_is_trained_to_its_end_has_its_last_values(quiet: Quiet, tmp_path: Path) -> None:
    results(quiet, Checkpoints(tmp_path, "x"), average=0.9)
    begun = Checkpoints(tmp_path, "x").latest()
    assert begun is not None
    network = build(PLAIN, SIDE, 5)
    config = TrainingConfig.model_validate({"epochs": EPOCHS, "average": 0.9})
    nothing = train(
        network, training(0), validation(), config, image_size=SIDE, quiet=quiet, begun=begun
    )
    assert list(nothing) == []
    for name, value in network.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), begun.arrays[f"network/{name}"])


# Files.


def epochs(many: int) -> tuple[EpochResult, ...]:
    return tuple(EpochResult(n, 0.1 * n, 1.0, 1.0, 2.0, 0.5, 100.0) for n in range(1, many + 1))


def arrays(number: int) -> dict[str, np.ndarray[Any, Any]]:
    return {"network/a": np.full((2, 3), number, np.float32), "average/steps": np.array([number])}


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """A folder with the checkpoints of three epochs."""
    checkpoints = Checkpoints(tmp_path / "trial", "x")
    for number in (1, 2, 3):
        checkpoints.save(arrays(number), epochs(number))
    return tmp_path / "trial"


def test_nothing_was_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "trial", "x")
    assert checkpoints.latest() is None
    assert checkpoints.damaged == []


def test_the_last_two_are_kept(three: Path) -> None:
    assert sorted(path.name for path in three.iterdir()) == [
        f"epoch-0000{n}{suffix}" for n in (2, 3) for suffix in (".json", ".safetensors", ".sha256")
    ]
    found = Checkpoints(three, "x").latest()
    assert found is not None
    assert found.curve == epochs(3)
    assert found.arrays.keys() == arrays(3).keys()
    for name, array in arrays(3).items():
        np.testing.assert_array_equal(found.arrays[name], array)
        assert found.arrays[name].dtype == array.dtype


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    return bytes([*data[:-3], data[-3] ^ 1, *data[-2:]])


def emptied(_: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("damage", [truncated, flipped, emptied])
@pytest.mark.parametrize("suffix", [".safetensors", ".json", ".sha256"])
def test_a_damaged_one_falls_back_by_an_epoch(three: Path, suffix: str, damage: Any) -> None:
    path = three / f"epoch-00003{suffix}"
    path.write_bytes(damage(path.read_bytes()))
    checkpoints = Checkpoints(three, "x")
    found = checkpoints.latest()
    assert found is not None
    assert found.curve == epochs(2)
    (damaged,) = checkpoints.damaged
    assert "epoch-00003" in damaged


@pytest.mark.parametrize("suffix", [".safetensors", ".json", ".sha256"])
def test_killed_before_all_of_it_was_written(three: Path, suffix: str) -> None:
    (three / f"epoch-00003{suffix}").unlink()
    found = Checkpoints(three, "x").latest()
    assert found is not None
    assert found.curve == epochs(2)


def test_where_all_are_damaged_it_begins_anew(three: Path) -> None:
    for path in three.glob("*.json"):
        path.write_text("{}")
    checkpoints = Checkpoints(three, "x")
    assert checkpoints.latest() is None
    assert len(checkpoints.damaged) == 2


def damaged(data: st.DataObject, content: bytes) -> bytes:
    """Cut off anywhere, or with any one bit wrong."""
    place = data.draw(st.integers(0, len(content) - 2))  # the last byte of some is an end of line
    if data.draw(st.booleans(), label="cut off"):
        return content[:place]
    wrong = content[place] ^ 1 << data.draw(st.integers(0, 7))
    return content[:place] + bytes([wrong]) + content[place + 1 :]


@settings(max_examples=80, deadline=None)
@given(data=st.data(), both=st.booleans())
def test_damage_anywhere_falls_back_by_an_epoch_and_twice_it_begins_anew(
    data: st.DataObject, both: bool
) -> None:
    with tempfile.TemporaryDirectory() as name:
        checkpoints = Checkpoints(Path(name), "x")
        for number in (1, 2, 3):
            checkpoints.save(arrays(number), epochs(number))
        for number in (3, 2)[: 1 + both]:
            suffix = data.draw(st.sampled_from([".safetensors", ".json", ".sha256"]))
            path = Path(name) / f"epoch-0000{number}{suffix}"
            path.write_bytes(damaged(data, path.read_bytes()))
        found = checkpoints.latest()
    assert len(checkpoints.damaged) == 1 + both
    assert "epoch-00003" in checkpoints.damaged[0]
    if both:
        assert found is None
    else:
        assert found is not None
        assert found.curve == epochs(2)
        np.testing.assert_array_equal(found.arrays["network/a"], arrays(2)["network/a"])


def signed(folder: Path, weights: bytes, facts: bytes) -> None:
    """The third epoch's checkpoint with these contents, and right checksums."""
    sums = []
    for suffix, content in ((".safetensors", weights), (".json", facts)):
        (folder / f"epoch-00003{suffix}").write_bytes(content)
        sums.append(f"{hashlib.sha256(content).hexdigest()}  epoch-00003{suffix}\n")
    (folder / "epoch-00003.sha256").write_text("".join(sums))


FACTS: dict[str, Any] = {"of": "x", "curve": [asdict(epoch) for epoch in epochs(3)]}
WEIGHTS = safetensors.numpy.save(arrays(3))
EPOCH = FACTS["curve"][-1]


def facts(*third: Any, **changed: Any) -> bytes:
    """Those of the third epoch, with another curve or other values in its last epoch."""
    curve = [*FACTS["curve"][:2], *(third or [EPOCH | changed])]
    return json.dumps({"of": "x", "curve": curve}).encode()


FOREIGN: dict[str, tuple[bytes, bytes]] = {
    "a list": (WEIGHTS, b"[1]"),
    "a number": (WEIGHTS, b"3"),
    "no curve": (WEIGHTS, b'{"of": "x", "curve": null}'),
    "a curve of nothing": (WEIGHTS, b'{"of": "x", "curve": []}'),
    "a curve as text": (WEIGHTS, b'{"of": "x", "curve": "abc"}'),
    "a curve as an object": (WEIGHTS, b'{"of": "x", "curve": {"1": 2, "2": 3, "3": 4}}'),
    "deep": (WEIGHTS, b"[" * 200_000),
    "no numbers": (WEIGHTS, json.dumps(FACTS).replace("0.5", "null").encode()),
    "not finite": (WEIGHTS, json.dumps(FACTS).replace("0.5", "NaN").encode()),
    "not even text": (WEIGHTS, b"\xff\xfe"),
    "cut off": (WEIGHTS[:-1], json.dumps(FACTS).encode()),
    "an epoch less": (WEIGHTS, json.dumps(FACTS | {"curve": FACTS["curve"][:2]}).encode()),
    "an epoch more": (WEIGHTS, facts(EPOCH, EPOCH | {"epoch": 4})),
    "an epoch twice": (WEIGHTS, facts(FACTS["curve"][1])),
    "an epoch that is none": (WEIGHTS, facts([])),
    "a truth value for an epoch": (WEIGHTS, json.dumps(FACTS).replace("1,", "true,", 1).encode()),
    "an epoch as a fraction": (WEIGHTS, facts(epoch=3.0)),
    "a truth value": (WEIGHTS, facts(val_accuracy=True)),
    "a text": (WEIGHTS, facts(val_accuracy="0.5")),
    "more than all": (WEIGHTS, facts(val_accuracy=1.5)),
    "less than none": (WEIGHTS, facts(val_accuracy=-0.5)),
    "a loss without end": (WEIGHTS, facts(val_loss=float("inf"))),
    "an enormous number": (WEIGHTS, facts(train_loss=10**400)),
    "time that runs back": (WEIGHTS, facts(train_seconds=-1.0)),
    "one value more": (WEIGHTS, facts(more=1.0)),
    "one value less": (WEIGHTS, facts({k: v for k, v in EPOCH.items() if k != "val_loss"})),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_somebody_elses_is_not_used_whatever_its_checksums(three: Path, kind: str) -> None:
    signed(three, *FOREIGN[kind])
    checkpoints = Checkpoints(three, "x")
    found = checkpoints.latest()
    assert found is not None
    assert found.curve == epochs(2)
    assert len(checkpoints.damaged) == 1


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_by_the_name_of_a_checkpoint_runs_nothing(three: Path, protocol: int) -> None:
    mark = three.parent / "ran"
    evil = pickle.dumps(Payload(os.system, f"touch {mark}"), protocol)
    for weights, facts in ((evil, json.dumps(FACTS).encode()), (WEIGHTS, evil)):
        signed(three, weights, facts)
        checkpoints = Checkpoints(three, "x")
        found = checkpoints.latest()
        assert found is not None
        assert found.curve == epochs(2)
    assert not mark.exists()


def test_that_of_another_training_is_not_used(three: Path) -> None:
    checkpoints = Checkpoints(three, "y")
    assert checkpoints.latest() is None
    assert all("of another training" in each for each in checkpoints.damaged)


def test_a_disk_that_says_it_takes_no_more(three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of before are still whole."""

    def full(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    message = "a checkpoint cannot be written: No space left on device"
    with pytest.raises(StorageError, match=message):
        Checkpoints(three, "x").save(arrays(4), epochs(4))
    monkeypatch.undo()
    found = Checkpoints(three, "x").latest()
    assert found is not None
    assert found.curve == epochs(3)
    assert len(list(three.iterdir())) == 6


def test_what_a_training_cannot_go_on_from_counts_as_damaged(three: Path) -> None:
    def refuse(found: Checkpoint) -> None:
        if len(found.curve) == 3:
            raise ValueError("it does not fit")

    checkpoints = Checkpoints(three, "x")
    found = checkpoints.latest(refuse)
    assert found is not None
    assert found.curve == epochs(2)
    assert checkpoints.damaged == [f"{three / 'epoch-00003'}: it does not fit"]


def test_one_that_begins_anew_keeps_its_own(three: Path) -> None:
    """And not those that were damaged, though they are of later epochs."""
    for path in three.glob("*.json"):
        path.write_text("{}")
    for number in (1, 2):
        Checkpoints(three, "x").save(arrays(number), epochs(number))
        checkpoints = Checkpoints(three, "x")
        found = checkpoints.latest()
        assert found is not None
        assert found.curve == epochs(number)
        assert checkpoints.damaged == []
    assert {path.stem for path in three.iterdir()} == {"epoch-00001", "epoch-00002"}


def test_other_names_are_none_of_ours(three: Path) -> None:
    for name in ("epoch-x", "epoch-zzzzz", "epoch-000004", "epoch-4", "epoch-00004.sha256"):
        (three / f"{name}.sha256").write_text("")
    checkpoints = Checkpoints(three, "x")
    checkpoints.save(arrays(4), epochs(4))
    found = checkpoints.latest()
    assert found is not None
    assert found.curve == epochs(4)
    assert checkpoints.damaged == []


def test_epochs_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (99_999, 100_000):
        Checkpoints(tmp_path, "x").save(arrays(1), epochs(1) * number)
    assert len(list(tmp_path.iterdir())) == 6
    checkpoints = Checkpoints(tmp_path, "x")
    assert checkpoints.latest() is None
    assert "epoch-100000" in checkpoints.damaged[0]


def test_what_a_killed_process_left_half_written_is_removed(three: Path) -> None:
    (three / ".epoch-00004.12345.safetensors").write_bytes(b"half")
    Checkpoints(three, "x").save(arrays(4), epochs(4))
    assert not list(three.glob(".*"))


def test_nothing_is_unpickled(three: Path) -> None:
    """No module that a checkpoint is read by knows pickle."""
    text = Path(checkpoint.__file__).read_text("utf-8")
    assert "pickle" not in text.replace("nothing unpickled", "")
    assert "paddle" not in text
