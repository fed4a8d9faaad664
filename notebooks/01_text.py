# %% [markdown] seconds=1
# # The text
#
# A language model learns from text and from nothing else. The lecture's text is *tiny Shakespeare*: scenes of
# Shakespeare's plays in one file, a little over a million characters. Everything the model will ever know about
# English, spelling included, it must find in there.

# %%
from inkwright.lessons.kit import compare, shakespeare

text = shakespeare()
print(text[:148])

# %% [markdown]
# How much is it, and how many *different* characters does it have? The second number matters more than it looks: our
# model will answer one question again and again, "which of these characters comes next?", and this is how many
# answers there are. We call the set of them the alphabet, and its size V.
#
# The lecture was given with notebooks, pages of code and of what the code printed. `compare` puts what a notebook printed
# beside what came out on your machine just now; `claim`, later on, says that something holds.

# %%
alphabet = sorted(set(text))
print(repr("".join(alphabet)))

compare("characters", notebook=1_115_394, here=len(text))
compare("different characters", notebook=65, here=len(alphabet))

# %% [markdown]
# A model trained on other bytes has other figures, so the file has to be this one. Its sha256, a fingerprint that any
# changed byte would change, says so.

# %%
import hashlib

fingerprint = (
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
)
here = hashlib.sha256(text.encode()).hexdigest()
compare("sha256", notebook=fingerprint, here=here)

# %% [markdown]
# The order of the alphabet is the order of Python's `sorted`: the line break first, then the space, punctuation,
# capitals, small letters. The rank of a character in this list will be its number.

# %%
from string import ascii_lowercase, ascii_uppercase

expected = "\n !$&',-.3:;?" + ascii_uppercase + ascii_lowercase
compare("the alphabet", notebook=expected, here="".join(alphabet))
compare("rank of the line break", notebook=0, here=alphabet.index("\n"))
compare("rank of the space", notebook=1, here=alphabet.index(" "))

# %% [markdown]
# Characters are far from equally common, and knowing how common each is, is already worth something: to guess with
# these shares costs fewer nats (the unit of surprise, explained in *bigram*) than to guess blindly.

# %%
import math
from collections import Counter

counts = Counter(text)
shares = {c: n / len(text) for c, n in counts.most_common()}
for c in list(shares)[:5]:
    print(f"{c!r:>5} {shares[c]:6.1%}")
surprise = -sum(share * math.log(share) for share in shares.values())
print(f"blindly:         {math.log(65):.3f} nats a character")
print(f"by these shares: {surprise:.3f}")

# %% tags=["plot"]
import matplotlib.pyplot as plt

plt.figure(figsize=(10, 3))
plt.bar([repr(c)[1:-1] for c in shares], list(shares.values()))
plt.ylabel("share of the text")
plt.title("a few characters do most of the work")
plt.show()
