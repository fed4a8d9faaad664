"""All exercises, in teaching order. A new one is a module and its line here."""

from inkwright.lessons.exercises import (
    addition,
    averaging,
    bigram_by_counting,
    causal_mask,
    defend_a_trick,
    encode_decode,
    encoder_decoder_cross,
    finetune,
    heads_in_one_tensor,
    kv_cache,
    loss_at_init,
    one_head,
    parameter_count,
    position_table,
    residual_layernorm,
    sampling_filters,
    shifted_batch,
    training_mode,
    why_sqrt_d,
)

_IN_ORDER = (
    encode_decode,
    shifted_batch,
    loss_at_init,
    bigram_by_counting,
    averaging,
    causal_mask,
    one_head,
    why_sqrt_d,
    encoder_decoder_cross,
    position_table,
    heads_in_one_tensor,
    residual_layernorm,
    training_mode,
    parameter_count,
    addition,
    defend_a_trick,
    sampling_filters,
    kv_cache,
    finetune,
)

EXERCISES = {module.EXERCISE.id: module.EXERCISE for module in _IN_ORDER}
"""Id -> exercise."""
