"""What is advised to a person whose model does not fit would fit."""

import pytest

from inkwright.config import ModelConfig, TrainConfig
from inkwright.train import device


@pytest.mark.parametrize("room_bytes", [10**12, 10**10, 10**9, 10**8])
def test_every_setting_that_is_advised_is_enough(room_bytes: int) -> None:
    config = ModelConfig(vocab_size=300, n_layer=1000, n_head=8, n_embd=8192, block_size=256)
    train = TrainConfig(batch_size=64)
    hint = device.too_large(config, train, "some free", room_bytes).hint
    assert hint
    for advice in hint.split(", or "):
        flags = advice.split()
        settings = {flag[2:].replace("-", "_"): int(value) for flag, value in zip(flags[::2], flags[1::2], strict=True)}
        batch = {"micro_batch_size": settings.pop("micro_batch_size", None)}
        smaller = ModelConfig(**config.model_dump() | settings), TrainConfig(**train.model_dump() | batch)
        assert device.needed_bytes(*smaller) <= room_bytes, advice


def test_fewer_windows_are_advised_where_the_model_itself_fits_and_not_where_there_is_one() -> None:
    config = ModelConfig(vocab_size=300, n_layer=6, n_head=8, n_embd=512, block_size=256)
    for windows in (64, 1):
        train = TrainConfig(batch_size=windows)
        room = device.needed_bytes(config, train) * 2 // 3
        hint = device.too_large(config, train, "some free", room).hint or ""
        assert ("--micro-batch-size 32" in hint) == (windows == 64)
