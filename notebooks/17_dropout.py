# %% [markdown] seconds=9
# # Dropout
#
# A large model on a small text begins to learn it by heart. Dropout disturbs it: in training, at each step, a random
# share of the numbers is set to zero. No part can rely on one other part to be there, so what is learned is spread
# over many, and learning by heart becomes hard.

# %%
import torch
from torch import nn

from inkwright.lessons.kit import claim, compare, rung, train

torch.manual_seed(1337)
drop = nn.Dropout(0.2)
ones = torch.ones(10_000)
out = drop(ones)
print("the first ten:", out[:10].tolist())
print(f"set to zero: {(out == 0).float().mean():.1%}")
print(f"mean: {out.mean():.3f}")

# %% [markdown]
# The numbers that stay are divided by 0.8, so that a sum over them keeps its size. At evaluation nothing is dropped: one
# wants the whole model. `model.eval()` says so, and `model.train()` turns it back. To forget the first makes a model look
# worse than it is; to forget the second quietly trains on without dropout.

# %%
drop.eval()
claim("evaluation changes nothing", torch.equal(drop(ones), ones))
drop.train()
claim("training changes something", not torch.equal(drop(ones), ones))

# %% [markdown]
# Dropout has no parameters, so the count of the rung stays at 42,369. Does it help? Not here: at this size the published
# runs go from 2.09 to 2.16, *worse*. This model is far too small to learn a million characters by heart; it needs all
# it has. Dropout is for the big one, which has 10.8 million parameters.

# %%
for share in (0.0, 0.2):
    model = rung("layernorm", dropout=share)
    loss = train(model, 400)
    print(f"dropout {share}: {loss:.3f} nats after 400 steps")
compare("numbers to learn", notebook=42_369, here=model.parameter_count)
