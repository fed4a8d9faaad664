def linear(inputs, outputs, bias=True):
    return inputs * outputs + (outputs if bias else 0)


def bigram(V):
    return V * V


def embedding(V, T, C):
    return V * C + T * C + linear(C, V)


def one_head(V, T, C):
    return embedding(V, T, C) + 3 * linear(C, C, bias=False)


def feed_forward(V, T, C):
    return one_head(V, T, C) + linear(C, C)


def gpt(V, T, C, n_layer):
    attention = 3 * linear(C, C, bias=False) + linear(C, C)
    mlp = linear(C, 4 * C) + linear(4 * C, C)
    block = attention + mlp + 2 * (2 * C)
    return embedding(V, T, C) + n_layer * block + 2 * C


WRONG = [
    ("embedding(65, 8, 32) is 4,416, expected 4,481: you forgot the bias of the head", "(outputs if bias else 0)", "0"),
    ("position table", " + T * C", ""),
    ("token table", "V * C + T * C", "T * C"),
    ("the last norm", "n_layer * block + 2 * C", "n_layer * block"),
    ("bigram(65) is 4,290", "return V * V", "return V * V + V"),
    ("you forgot key, query and value", " + 3 * linear(C, C, bias=False)\n", "\n"),
    ("bias of the feed-forward", "one_head(V, T, C) + linear(C, C)", "one_head(V, T, C) + linear(C, C, False)"),
    ("you forgot the feed-forward", "one_head(V, T, C) + linear(C, C)", "one_head(V, T, C)"),
    ("bias of every norm", "2 * (2 * C)", "2 * C", "block + 2 * C", "block + C"),
    ("the norms of the blocks", " + 2 * (2 * C)", ""),
    ("all norms", " + 2 * (2 * C)", "", "n_layer * block + 2 * C", "n_layer * block"),
    ("projection of each block", "linear(C, C, bias=False) + linear(C, C)", "linear(C, C, bias=False)"),
    ("bias of each projection", "bias=False) + linear(C, C)", "bias=False) + linear(C, C, False)"),
    ("biases of the feed-forward", "linear(C, 4 * C) + linear(4 * C, C)", "8 * C * C"),
    ("all blocks but one", "n_layer * block", "block"),
    ("gpt(65, 8, 32, 3) is", "2 * (2 * C)", "n_layer * 2 * (2 * C)"),
    ("a whole number is expected", "return V * V\n", "return V * V / 1\n"),
    ("(65, 256, 384)", "T * C +", "8 * C +"),
    ("gpt(65, 8, 32, 3) is", "attention = 3 * linear(C, C, bias=False)", "attention = 3 * linear(C, C)"),
]
