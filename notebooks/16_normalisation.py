# %% [markdown] seconds=13
# # Normalisation
#
# Many parts write onto one road, and nobody watches how large the numbers on it grow. LayerNorm sits at the entrance of
# each part and sets its input right: for each position by itself, subtract the mean of the channels and divide by
# their spread. Then every part sees numbers of the size it is used to, however deep it sits.

# %%
import torch
from torch import nn

from inkwright.lessons.kit import claim, compare, rung, train

C = 32
torch.manual_seed(1337)
x = torch.randn(4, 8, C) * 5 + 3  # large, and off centre
y = nn.LayerNorm(C)(x)

mean = x.mean(-1, keepdim=True)
variance = x.var(-1, keepdim=True, correction=0)
by_hand = (x - mean) / (variance + 1e-5).sqrt()
claim("by hand = nn.LayerNorm", torch.allclose(y, by_hand, atol=1e-5))
for name, z in (("before", x[0, 0]), ("after", y[0, 0])):
    print(f"{name:<7} mean {z.mean().abs():.2f}, spread {z.std():.2f}")

# %% [markdown]
# Over the *channels*, that is the point. To normalise over the batch would let texts in a batch see each other; over
# time, the past would see the future. Both can be measured: change one text, and one later position.

# %%
other_text, future = x.clone(), x.clone()
other_text[2] += torch.randn(8, C)
future[:, 7] += torch.randn(4, C)


def normalised(x, over):
    spread = x.std(over, keepdim=True)
    return (x - x.mean(over, keepdim=True)) / spread


def told(moved):
    return "yes" if moved.any() else "no"


print("over        hears other texts   hears the future")
for name, over in (("channels", -1), ("time", 1), ("batch", 0)):
    base = normalised(x, over)
    text = told((normalised(other_text, over) != base)[0])
    past = told((normalised(future, over) != base)[:, 0])
    print(f"{name:<11} {text:<19} {past}")

# %% [markdown]
# After that, a factor and an offset for each channel, which are learned: 2 C numbers for each norm. The lecture puts a
# norm *before* each part (the paper of 2017 had it behind) and one more at the end, before the head.

# %%
without, with_norms = rung("wide"), rung("layernorm")
compare("without norms", notebook=41_921, here=without.parameter_count)
compare("with norms", notebook=42_369, here=with_norms.parameter_count)

# %% [markdown]
# Three blocks are not deep, so there is little to gain: published, 2.06 instead of 2.08 after 5,000 steps. After a few
# hundred there is no gain to be seen yet:

# %%
for name in ("wide", "layernorm"):
    print(f"{name:<10} {train(rung(name), 400):.3f} nats after 400 steps")

# %% [markdown]
# It matters more the deeper a model is and the faster it learns. The same with a learning rate thirty times as high:

# %%
for name in ("wide", "layernorm"):
    loss = train(rung(name), 200, learning_rate=3e-2)
    print(f"{name:<10} {loss:.3f} nats after 200 fast steps")

# %% [markdown]
# Inkwright's `modern` shape uses RMSNorm, which divides by the size of the numbers and leaves their mean alone: one thing
# less to compute.
