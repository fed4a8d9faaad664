# %% [markdown] seconds=1
# # Tokens: characters become numbers
#
# A network adds and multiplies, so the text has to become numbers first. The simplest way: each character gets its
# rank in the alphabet. `encode` looks ranks up, `decode` looks characters up, and one undoes the other.

# %%
from inkwright.lessons.kit import alphabet, claim, compare, shakespeare

chars = alphabet()
rank = {character: i for i, character in enumerate(chars)}


def encode(text):
    return [rank[character] for character in text]


def decode(ids):
    return "".join(chars[i] for i in ids)


compare(
    "encode('hellooo')",
    notebook=[46, 43, 50, 50, 53, 53, 53],
    here=encode("hellooo"),
)
compare("and back", notebook="hellooo", here=decode(encode("hellooo")))

# %% [markdown]
# The numbers are names and no amounts: that h is 46 and i is 47 does not make them alike. A model that multiplied 46 by
# something would make no sense; it will use the number only to look up a row in a table.
#
# Going there and back must lose nothing, for the whole text and not only for a word.

# %%
text = shakespeare()
claim("the whole text survives", decode(encode(text)) == text)

# %% [markdown]
# Inkwright's own tokenizer does the same when it is asked for a *bare* alphabet (`--alphabet bare`). By itself it also
# has a way to spell characters it never saw, so that no prompt is refused; the chapter *tokenizers* compares the kinds.

# %%
from inkwright.config import TextConfig
from inkwright.text.tokenizer import Tokenizer

bare = Tokenizer.fit(TextConfig(alphabet="bare"), [text])
compare(
    "Inkwright, 'hellooo'",
    notebook=encode("hellooo"),
    here=bare.encode("hellooo").tolist(),
)
same = bare.encode(text).tolist() == encode(text)
claim("Inkwright, the whole text", same)
