# %% [markdown] seconds=9
# # Residual connections
#
# One round of "read, then think" is good; three should be better. A *block* is such a round, and blocks are put one on
# top of the other. And then it gets worse: in the published runs three plain blocks end at 2.33, where one round had
# reached 2.24. More parameters, and a higher loss.
#
# A *residual connection* adds what a part found to what went into it: `x + part(x)`. It has no parameters at all.

# %%
import torch

from inkwright.lessons.kit import (
    claim,
    compare,
    get_batch,
    rung,
    train,
    train_ids,
)
from inkwright.train.loss import next_token_loss

plain, residual = rung("no-residual"), rung("residual")
compare("three plain blocks", notebook=16_865, here=plain.parameter_count)
compare("with residuals", notebook=16_865, here=residual.parameter_count)

# %% [markdown]
# Now there is a straight road from the bottom to the top that only additions stand on, the *residual stream*; each part
# reads from it and writes its remark onto it. A part with nothing to say adds zero and does no harm. In a plain block it
# would wipe out everything:

# %%
torch.manual_seed(1337)
x = torch.randn(4, 8, 32)
with torch.no_grad():
    for model, left in ((plain, torch.zeros_like(x)), (residual, x)):
        block = rung(model.config.model).blocks[0]
        for weight in block.parameters():
            weight.zero_()  # silent
        claim(f"silent, {model.config.model}", torch.equal(block(x), left))

# %% [markdown]
# The road works in both directions. An addition hands the gradient on undiminished, so the parts at the bottom hear at
# once how to become better. Without it each part on the way down weakens the message. How loud is it, in fresh models,
# at the first, second and third block?

# %%
idx, targets = get_batch(train_ids(), 32)
for name in ("no-residual", "residual"):
    model = rung(name)
    next_token_loss(model(idx), targets).backward()
    loud = [block.attn.v.weight.grad.norm() for block in model.blocks]
    print(f"{name:<12}", ", ".join(f"{gradient:.4f}" for gradient in loud))

# %% [markdown]
# And in training, 600 steps on the same batches. (Published after 5,000: 2.33 plain, 2.17 with residuals.)

# %%
for name in ("no-residual", "residual"):
    print(f"{name:<12} {train(rung(name), 600):.3f} nats after 600 steps")

# %% [markdown]
# The lecture adds two more things on the same rung. A *projection*: a linear layer behind the heads, and one behind the
# ReLU of the feed-forward part, so that what a part writes onto the road fits there. And an inner layer four times as
# wide. Together they make most of the parameters; published, 2.08 to 2.10.

# %%
print(f"with projections: {rung('projection').parameter_count:,}")
wide = rung("wide")
count = wide.parameter_count
compare("and four times as wide", notebook=41_921, here=count)
