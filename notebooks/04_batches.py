# %% [markdown] seconds=1
# # Batches
#
# Training takes many windows at a time: B of them, from random places, stacked as the rows of one table. The rows
# have nothing to do with each other; they go together because a processor is faster with one large table than with
# many small ones, and because the average over several places points in a steadier direction than one place.

# %%
import torch

from inkwright.lessons.kit import claim, compare, train_ids

train = train_ids()
B, T = 4, 8


def get_batch(ids):
    starts = torch.randint(len(ids) - T, (B,))
    x = torch.stack([ids[i : i + T] for i in starts])
    y = torch.stack([ids[i + 1 : i + T + 1] for i in starts])
    return x, y


torch.manual_seed(1337)
xb, yb = get_batch(train)

# %% [markdown]
# Why `len(ids) - T`? The last window has to leave one more id behind it, its last target. The seed makes the "random"
# places the same each time, so here is the notebook's very batch.

# %%
expected_inputs = [
    [24, 43, 58, 5, 57, 1, 46, 43],
    [44, 53, 56, 1, 58, 46, 39, 58],
    [52, 58, 1, 58, 46, 39, 58, 1],
    [25, 17, 27, 10, 0, 21, 1, 54],
]
expected_targets = [
    [43, 58, 5, 57, 1, 46, 43, 39],
    [53, 56, 1, 58, 46, 39, 58, 1],
    [58, 1, 58, 46, 39, 58, 1, 46],
    [17, 27, 10, 0, 21, 1, 54, 39],
]
compare("inputs (4, 8)", notebook=expected_inputs, here=xb)
compare("targets (4, 8)", notebook=expected_targets, here=yb)

# %% [markdown]
# Four rows of eight are 32 examples. The second row starts with "after 44 comes 53", and knows nothing of the first.

# %%
examples = [
    (xb[b, : t + 1].tolist(), yb[b, t].item())
    for b in range(B)
    for t in range(T)
]
for context, target in examples[:3] + examples[8:10]:
    print(f"when input is {context} the target: {target}")

from_tables = [
    (row[: t + 1], answers[t])
    for row, answers in zip(expected_inputs, expected_targets, strict=True)
    for t in range(T)
]
compare("examples", notebook=32, here=len(examples))
claim("all 32 are the notebook's", examples == from_tables)

# %% [markdown]
# The notebook has one generator for all that is drawn, so each batch depends on everything drawn before it: one more
# draw anywhere, and all later batches are others. Inkwright computes a batch from the seed and the number of the step
# alone. Ask twice and you get the same; that is why a run that was stopped goes on as if it had not been.

# %%
from inkwright.text.windows import Windows

windows = Windows(train.numpy(), T)
once, _ = windows.random(step=700, batch_size=B, seed=1337)
torch.rand(5)  # somebody draws in between
again, _ = windows.random(step=700, batch_size=B, seed=1337)
print("step 700 asked for twice, the same batch:", torch.equal(once, again))
