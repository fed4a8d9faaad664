# %% [markdown] seconds=1
# # The bigram model
#
# The simplest model with something to learn: to guess the next character, look only at the current one. It is a table
# with 65 rows, one for each character, and 65 columns, a score for each character that may follow. The scores are
# called *logits*; softmax turns a row of them into probabilities.

# %%
import math

import torch
import torch.nn.functional as F
from torch import nn

from inkwright.lessons.kit import alphabet, compare, get_batch, train_ids

torch.manual_seed(1337)
xb, yb = get_batch(train_ids(), batch_size=4)

torch.manual_seed(1337)
table = nn.Embedding(65, 65)
logits = table(xb).view(-1, 65)
targets = yb.reshape(-1)
compare("logits (examples, V)", notebook=[32, 65], here=list(logits.shape))
compare("numbers to learn", notebook=4225, here=table.weight.numel())

# %% [markdown]
# The *loss* says how surprised the model is: minus the logarithm of the probability that it gave to the character that
# really came, averaged over the examples. With the natural logarithm its unit is the *nat*. A model that knows
# nothing gives each of 65 characters 1/65, so it scores ln 65.

# %%
loss = F.cross_entropy(logits, targets)
compare("knowing nothing, ln 65", notebook=4.1744, here=math.log(65))
compare("loss of the fresh table", notebook=4.8786, here=loss)

# %% [markdown]
# The fresh table has learned nothing, yet it is *worse* than knowing nothing. Why? Its logits are random, drawn with
# variance 1, so it has opinions: each row thinks some characters are several times as likely as others, for no
# reason. Wrong opinions cost more than none. For random logits the expected price is about half their variance, half
# a nat; the rest is the luck of these 32 examples.

# %%
with torch.no_grad():
    everywhere = -F.log_softmax(table.weight, dim=-1).mean().item()
    print(f"averaged over all 65 x 65 pairs: {everywhere:.4f}")
    print(f"ln 65 + 1/2:                     {math.log(65) + 0.5:.4f}")
    zeros = F.cross_entropy(torch.zeros_like(logits), targets).item()
    print(f"with all logits zero:            {zeros:.4f}")

# %% [markdown]
# Let the fresh table write: draw the next character from its row, then the next from that one's row. It is noise, as it
# must be. Which noise depends on how this build of torch draws, so the notebook's may differ from yours even though
# the table is the same; that is shown and not counted.

# %%
idx = torch.zeros((1, 1), dtype=torch.long)  # id 0 is a line break
for _ in range(100):
    probs = table(idx[:, -1]).softmax(-1)
    idx = torch.cat([idx, torch.multinomial(probs, num_samples=1)], dim=1)
noise = "".join(alphabet()[i] for i in idx[0].tolist())
compare(
    "start of the fresh sample",
    notebook="\nSr?qP-QWktXoL&jLDJgOLVz",
    here=noise[:24],
    platform_dependent=True,
)
print(noise[1:51])
print(noise[51:])

# %% [markdown]
# Wrong opinions cost more than none, and so Inkwright starts its models with small logits, near zero: the first loss of a
# fresh model is then ln V, and if it is not, something is wrong with the model.

# %%
from inkwright.config import ModelConfig
from inkwright.model import build
from inkwright.train.loss import next_token_loss

ours = build(
    ModelConfig(model="bigram", vocab_size=65, block_size=8), seed=1337
)
print(
    f"Inkwright's fresh bigram: {next_token_loss(ours(xb), yb).item():.4f}"
)

# %% tags=["plot"]
import matplotlib.pyplot as plt

plt.figure(figsize=(5, 4))
plt.imshow(table.weight.detach().softmax(-1))
plt.title("a fresh table: opinions without reason")
plt.xlabel("next character")
plt.ylabel("current character")
plt.colorbar()
plt.show()
