# %% [markdown] seconds=4
# # Generating
#
# A model of the next character becomes a writer by being asked again and again: give it the text so far, take its
# probabilities for what comes next, *draw* one character by them, put it behind the text, repeat. Drawing matters:
# always taking the likeliest character would soon go in circles.
#
# To meet the second notebook's sample we need its table, and the state of its generator, which everything before has
# used. So we repeat its training exactly, estimates included.

# %%
import torch
import torch.nn.functional as F
from torch import nn

from inkwright.lessons.kit import (
    compare,
    decode,
    get_batch,
    train_ids,
    val_ids,
)

torch.manual_seed(1337)
table = nn.Embedding(65, 65)
optimizer = torch.optim.AdamW(table.parameters(), lr=1e-2)
for i in range(3000):
    if i % 300 == 0:  # the 400 batches of an estimate: only drawn
        for part in (train_ids(), val_ids()):
            for _ in range(200):
                get_batch(part, 32)
    x, y = get_batch(train_ids(), 32)
    loss = F.cross_entropy(table(x).view(-1, 65), y.reshape(-1))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()

# %%


def generate(model, idx, max_new_tokens):
    for _ in range(max_new_tokens):
        # Only the last position says what comes next.
        logits = model(idx)[:, -1]
        probs = F.softmax(logits, dim=-1)
        idx = torch.cat(
            [idx, torch.multinomial(probs, num_samples=1)], dim=1
        )
    return idx


start = torch.zeros((1, 1), dtype=torch.long)  # id 0, a line break
with torch.no_grad():
    sample = decode(generate(table, start, 500)[0].tolist())
print(sample)

# %% [markdown]
# Is it the notebook's? The ten pairs of losses must agree on every machine; a sample also hangs on how this build of
# torch draws. Where it differs, that is said and not counted.

# %%
import hashlib

compare(
    "start of the sample",
    notebook="\nMARI he avayokis erceller thour d, "
    "myono thishe me tord se by he me, Forder anen",
    here=sample[:81],
    platform_dependent=True,
)
compare(
    "sha256 of all of it",
    notebook="c712b1f9d7e3d94c3d904498ea050d34"
    "0f6ae836db5c75d826554c3688f2189d",
    here=hashlib.sha256(sample.encode()).hexdigest(),
    platform_dependent=True,
)

# %% [markdown]
# It is not English, but it is far from the noise of the untrained table: words have a length, vowels and consonants
# alternate, a line begins with a capital. All that from looking at one character. The notebook passes the whole text so
# far to the model and then uses the last position only; for a bigram that is waste, for a GPT it is the point.
#
# Inkwright draws with a generator of its own, seeded for this text alone, and in a way that does not depend on the
# machine: the same seed gives the same text everywhere.

# %%
from inkwright.config import ModelConfig, SampleConfig
from inkwright.model import build
from inkwright.sample.generate import generate as write

ours = build(ModelConfig(model="bigram", vocab_size=65, block_size=8))
ours.load_state_dict({"table.weight": table.weight})
setting = SampleConfig(max_new_tokens=60, seed=1337)
twice = [decode(list(write(ours, [0], setting))) for _ in range(2)]
print(twice[0])
print("written twice, the same:", twice[0] == twice[1])
