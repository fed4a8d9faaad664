# %% [markdown] seconds=4
# # Tokenizers: what a token is
#
# So far a token was a character. It need not be. Google's SentencePiece and OpenAI's tiktoken cut text into pieces of
# words, from a vocabulary of tens of thousands. It is a trade: **the larger the vocabulary, the shorter the text**. A
# short text means that a context of 256 tokens sees further and that writing takes fewer steps; a large vocabulary
# means large tables at both ends of the model, and rare tokens that are seldom seen and badly learned.

# %%
from inkwright.config import TextConfig
from inkwright.lessons.kit import claim, shakespeare
from inkwright.text.tokenizer import Tokenizer

text = shakespeare()
train, val = text[:1_003_854], text[1_003_854:]

tokenizers = {
    "characters": Tokenizer.fit(
        TextConfig(alphabet="bare"), [train], [val]
    ),
    "bytes": Tokenizer.fit(TextConfig(tokenizer="byte"), [train]),
    "BPE, 512": Tokenizer.fit(
        TextConfig(tokenizer="bpe", vocab_size=512), [train]
    ),
    "BPE, 2048": Tokenizer.fit(
        TextConfig(tokenizer="bpe", vocab_size=2048), [train]
    ),
}
line = "rather to die than to famish?"
for name, tokenizer in tokenizers.items():
    pieces = [tokenizer.decode([i]) for i in tokenizer.encode(line)]
    print(f"{name:<10} {len(pieces):>3} tokens for this line")
    print("   ", "|".join(pieces))

# %% [markdown]
# **BPE** begins with bytes and joins the pair that occurs most often into a new token, again and again, until the
# vocabulary is full. That is learned from the training part only. Nothing may be lost, whichever is used:

# %%
for name, tokenizer in tokenizers.items():
    survives = tokenizer.decode(tokenizer.encode(val)) == val
    claim(f"{name}: there and back", survives)

# %% [markdown]
# What each makes of the held-out text, and what its two tables would cost at the width of the scaled GPT (384):

# %%
print(" " * 11, "vocabulary   tokens  characters each     tables")
for name, tokenizer in tokenizers.items():
    n, V = len(tokenizer.encode(val)), tokenizer.vocab_size
    each, tables = len(val) / n, 2 * 384 * V
    print(f"{name:<11} {V:>10,} {n:>8,} {each:>16.2f} {tables:>10,}")

# %% [markdown]
# So losses per token cannot be compared: a token of three characters is harder to guess than one of one. Divide by the
# characters: *bits per character* is comparable between all of them, and Inkwright prints it beside every loss.
#
# What about a character that never occurred in training? A bare alphabet must refuse it. Bytes can spell anything. And
# Inkwright's usual alphabet has both: characters first, and bytes for what is new.

# %%
usual = Tokenizer.fit(TextConfig(), [train])
strange = "Où?"
print("bytes:     ", tokenizers["bytes"].encode(strange).tolist())
print("our usual: ", usual.encode(strange).tolist())
back = usual.decode(usual.encode(strange))
claim("a new character: and back", back == strange)
try:
    tokenizers["characters"].encode(strange)
except Exception as error:
    print("bare alphabet:", error.message)
