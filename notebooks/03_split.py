# %% [markdown] seconds=1
# # The split, and what an example is
#
# A model that has learned a text by heart looks perfect on that text and knows nothing about any other. So the last
# tenth is put away. The model never trains on it, and its loss there, the *validation loss*, tells what it
# understood and not what it remembers.

# %%
from inkwright.lessons.kit import compare, train_ids, val_ids

train, val = train_ids(), val_ids()
compare("characters that train", notebook=1_003_854, here=len(train))
compare("characters that validate", notebook=111_540, here=len(val))

# %% [markdown]
# The model looks at a window of at most T characters, its *context*; the lecture begins with T = 8. To cut out one
# training example we take T + 1 ids: the last one has to be there as an answer.

# %%
T = 8
window = train[: T + 1].tolist()
compare(
    "the first 9 ids",
    notebook=[18, 47, 56, 57, 58, 1, 15, 47, 58],
    here=window,
)

# %% [markdown]
# Nine ids hold *eight* examples, not one: after 18 comes 47; after 18, 47 comes 56; and so on. All eight are trained at
# once. That is cheap, and it has a second use: the model meets contexts of every length from 1 to T, so later it
# can begin to write from a single character.

# %%
inputs, targets = window[:-1], window[1:]
examples = []
for t in range(T):
    context, target = inputs[: t + 1], targets[t]
    examples.append([context, target])
    print(f"when input is {context} the target: {target}")

expected = [
    [[18], 47],
    [[18, 47], 56],
    [[18, 47, 56], 57],
    [[18, 47, 56, 57], 58],
    [[18, 47, 56, 57, 58], 1],
    [[18, 47, 56, 57, 58, 1], 15],
    [[18, 47, 56, 57, 58, 1, 15], 47],
    [[18, 47, 56, 57, 58, 1, 15, 47], 58],
]
compare("the 8 examples", notebook=expected, here=examples)

# %% [markdown]
# The targets are the inputs, moved by one place. Forget to move them and the model learns to copy its input: the loss
# falls to zero at once, and the model can do nothing. It is the commonest mistake there is, so look at it when a loss
# seems too good.
