# %% [markdown] seconds=27
# # Cross-attention: words backwards
#
# A translator reads one text and writes another. That takes both halves: an **encoder** reads the source, every position
# seeing every other; a **decoder** writes, each position seeing its own past. Between them stands **cross-attention**: the
# decoder asks, the encoder's positions answer. Our translation is a small one, from words to the same words backwards.

# %%
import re

import torch

from inkwright.lessons.kit import claim, shakespeare

seed = 1337
torch.manual_seed(seed)

found = set(re.findall(r"[a-z]+", shakespeare().lower()))
words = sorted(word for word in found if 3 <= len(word) <= 10)
order = torch.randperm(len(words)).tolist()
held_out = [words[i] for i in order[:1000]]
training = [words[i] for i in order[1000:]]
print(f"{len(training):,} words to learn from, such as", *training[:4])
print(f"{len(held_out):,} words held out, such as", *held_out[:4])

# %% [markdown]
# A dot begins a word, ends it, and fills up what is short, so that all are equally long. The decoder gets what it should
# have written so far, and its targets are the same one place further: as in every GPT.

# %%
T = 11
letters = ".abcdefghijklmnopqrstuvwxyz"


def encode(words):
    rows = [
        [letters.index(c) for c in word.ljust(T, ".")] for word in words
    ]
    return torch.tensor(rows)


sources = encode(training)
targets = encode([word[::-1] for word in training])
so_far = encode(["." + word[::-1] for word in training])
for name, rows in (
    ("source", sources), ("so far", so_far), ("target", targets)
):  # fmt: skip
    print(f"{name:<8}", "".join(letters[i] for i in rows[0]))

# %%
from inkwright.config import ModelConfig
from inkwright.model.encoder import EncoderDecoder
from inkwright.model.gpt import initialize

config = ModelConfig(
    shape="classic", vocab_size=27, block_size=T,
    n_layer=1, n_head=4, n_embd=64,
)  # fmt: skip
model = EncoderDecoder(config)
initialize(model, config, seed)
print(f"{sum(w.numel() for w in model.parameters()):,} numbers to learn")

# %%
import torch.nn.functional as F

STEPS = 1000
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, fused=True)
for step in range(STEPS):
    for group in optimizer.param_groups:
        group["lr"] = 3e-3 * (1 - step / STEPS)
    rows = torch.randint(len(training), (64,))
    logits = model(sources[rows], so_far[rows])
    loss = F.cross_entropy(logits.flatten(0, 1), targets[rows].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 250 == 0 or step == STEPS - 1:
        print(f"step {step:>4}: {loss:.4f} nats a letter")


# %% [markdown]
# To write, there is nothing to look up: begin with a dot, take the likeliest letter, put it behind, ask again. A word counts
# only if every letter of it is right.


# %%
@torch.no_grad()
def backwards(words):
    source = encode(words)
    idx = torch.zeros(len(words), 1, dtype=torch.int64)
    while idx.shape[1] < T:
        best = model(source, idx)[:, -1:].argmax(-1)
        idx = torch.cat([idx, best], dim=1)
    rows = ("".join(letters[i] for i in row[1:]) for row in idx)
    return [row.partition(".")[0] for row in rows]


written = backwards(held_out)
pairs = list(zip(held_out, written, strict=True))
for word, back in pairs[:5]:
    print(f"{word:>10} -> {back}")
wrong = [(word, back) for word, back in pairs if back != word[::-1]]
accuracy = 1 - len(wrong) / len(held_out)
print(f"exactly right: {accuracy:.1%}; wrong: {wrong[:3]}")
claim("above 95 % held out", accuracy > 0.95)

# %% [markdown]
# How does it do it? Look at what the cross-attention reads. A row is a letter that is written, a column one of the source;
# the darker, the more it reads there, the four heads taken together.

# %%
from inkwright.model.attention import attention_weights

word = next(word for word in held_out if len(word) == 8)
block = model.blocks[0]


def heads(x):
    return x.unflatten(-1, (4, -1)).transpose(1, 2)  # (B, nh, T, hs)


with torch.no_grad():
    x = model.emb(encode(["." + word[::-1]]))
    x = x + block.attn(block.ln_1(x))
    q = heads(block.cross.q(block.ln_2(x)))
    k = heads(block.cross.k(model.encoder(encode([word]))))
    reads = attention_weights(q, k, mask="cross").mean(1)[0]  # (T, S)

letters_of_word = reads[: len(word), : len(word)]  # without the dots
print("   ", *word)
for letter, row in zip(word[::-1], letters_of_word, strict=True):
    shades = (" .:*#"[min(int(share * 8), 4)] for share in row)
    print("  " + letter, *shades)

# %% [markdown]
# The dark places run from the upper right to the lower left: the first letter written was read at the end of the word.
# Nobody told the model where the end is. It had to find the first dot of each word, and count back from there.
