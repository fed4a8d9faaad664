# %% [markdown] seconds=1
# # Sampling: how to draw
#
# A model gives probabilities; which character is taken is our choice, and it changes a text as much as some training
# does. Take five characters with the scores of the chapter *scaling*.

# %%
import torch

from inkwright.config import SampleConfig
from inkwright.lessons.kit import claim, compare
from inkwright.sample.draw import probabilities

scores = torch.tensor([0.1, -0.2, 0.3, -0.3, 0.5])


def with_setting(**setting):
    return probabilities(scores, SampleConfig(**setting))


plain = [0.1951, 0.1446, 0.2384, 0.1308, 0.2911]
compare("as the model says", notebook=plain, here=with_setting())

# %% [markdown]
# **Temperature** divides the scores before softmax. Below 1 the likely become likelier (safe, then repetitive); above
# 1 all become alike (bold, then nonsense); at 0 only the likeliest is left. Temperature 1/8 is the notebook's "times 8".
# It has to come *before* softmax: dividing probabilities changes nothing once they are made to sum to 1 again.

# %%
peaky = [0.0327, 0.0030, 0.1618, 0.0013, 0.8013]
compare(
    "temperature 1/8", notebook=peaky, here=with_setting(temperature=0.125)
)
coldest = with_setting(temperature=0.0).tolist()
claim("temperature 0: one is left", coldest == [0, 0, 0, 0, 1])
late = scores.softmax(-1) / 0.125
print("divided after softmax:", [f"{p:.4f}" for p in late / late.sum()])

# %% [markdown]
# **top-k** keeps the k likeliest and shares out the rest among them. The tail of unlikely characters is long, each of
# them is wrong, and together they come up every few words.

# %%
for k in (1, 2, 3):
    print(f"top-k {k}:  ", [f"{p:.3f}" for p in with_setting(top_k=k)])

# %% [markdown]
# **top-p** keeps the likeliest until together they hold the share p, with the one that crosses the line. So it keeps few
# where the model is sure and many where it is not; k cannot do that. **min-p** keeps what is at least that share of the
# likeliest.

# %%
for p in (0.25, 0.5, 0.8):
    print(f"top-p {p:<4}:", [f"{q:.3f}" for q in with_setting(top_p=p)])
print("min-p 0.6 :", [f"{q:.3f}" for q in with_setting(min_p=0.6)])

# %% [markdown]
# Ties are where such code goes wrong. Two characters are equally likely and only one place is left: a filter that keeps
# "all that reach the k-th score" would keep both. Inkwright keeps the one with the smaller id.

# %%
tied = torch.tensor([1.0, 2.0, 2.0, 0.0])
kept = probabilities(tied, SampleConfig(top_k=1))
claim("a tie, top-k 1: the first", kept.tolist() == [0, 1, 0, 0])

# %% [markdown]
# Does drawing follow the probabilities? Ten thousand draws say so. `draw` uses a generator that is given to it, so the
# same seed gives the same text, whoever else has drawn in between.

# %%
from inkwright.sample.draw import draw

rng = torch.Generator().manual_seed(1337)
probs = with_setting()
drawn = torch.tensor([draw(probs, rng) for _ in range(10_000)])
shares = torch.bincount(drawn, minlength=5) / len(drawn)
print("asked for:", [f"{p:.3f}" for p in probs])
print("drawn:    ", [f"{p:.3f}" for p in shares])

# %% tags=["plot"]
import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 4, figsize=(12, 2.5), sharey=True)
for axis, temperature in zip(axes, (0.25, 0.5, 1.0, 2.0), strict=True):
    axis.bar(range(5), with_setting(temperature=temperature))
    axis.set_title(f"temperature {temperature}")
plt.show()
