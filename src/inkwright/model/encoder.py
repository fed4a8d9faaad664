"""Two more ways to put the GPT's parts together: a model that reads a text, and one that reads one and writes another.

encoder            reads a text that is all there; every position sees every other (mask `full`)
decoder            writes a text; every position sees itself and its past (mask `causal`), as in the GPT
encoder-decoder    a decoder that also reads what an encoder made of another text (mask `cross`)

They are not models of the next token of a text, so training, sampling and the command know nothing of them. The shapes
are `classic` and `lecture`: positions come from a table. Knows no text, no files and no loss.

Source: Vaswani et al. 2017, section 3; the norms stand before each part, as in the GPT
"""

from torch import Tensor, nn

from inkwright.config import ModelConfig
from inkwright.model.attention import Attention
from inkwright.model.cache import first_position
from inkwright.model.gpt import MLP, Block
from inkwright.model.norm import norm


class Embedding(nn.Module):
    """The vector of a token plus the vector of its place."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        assert config.shape != "modern", "without its rotary positions the modern shape would not know any order"
        self.tok_emb = nn.Embedding(config.vocab_size, config.n_embd)
        self.pos_emb = nn.Embedding(config.block_size, config.n_embd)

    def forward(self, idx: Tensor) -> Tensor:
        """Shape: (B, T) -> (B, T, C)

        Raises: ContextOverflow   more tokens than block_size
        """
        T = idx.shape[1]
        first_position(None, T, self.pos_emb.num_embeddings)
        return self.tok_emb(idx) + self.pos_emb.weight[:T]


class Encoder(nn.Module):
    """Token ids to what each means in the whole of its text."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.emb = Embedding(config)
        self.blocks = nn.Sequential(*(Block(config, layer, "full") for layer in range(config.n_layer)))
        self.ln_f = norm(config)

    def forward(self, idx: Tensor) -> Tensor:
        """Shape: (B, T) -> (B, T, C)"""
        return self.ln_f(self.blocks(self.emb(idx)))


class Classifier(nn.Module):
    """Which of several kinds a text is of: the mean of what an encoder found at its positions, and a linear head."""

    def __init__(self, config: ModelConfig, classes: int) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.head = nn.Linear(config.n_embd, classes)

    def forward(self, idx: Tensor) -> Tensor:
        """The logits of each class.

        Shape: (B, T) -> (B, classes)
        """
        return self.head(self.encoder(idx).mean(1))


class DecoderBlock(nn.Module):
    """Read from your own past, then from the source, then think alone; all three add to the residual stream."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.ln_1 = norm(config)
        self.attn = Attention(config, layer, "causal")
        self.ln_2 = norm(config)
        self.cross = Attention(config, layer, "cross")
        self.ln_3 = norm(config)
        self.mlp = MLP(config)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, source: Tensor) -> Tensor:
        """Shape: (B, T, C), (B, S, C) -> (B, T, C)"""
        x = x + self.drop(self.attn(self.ln_1(x)))
        x = x + self.drop(self.cross(self.ln_2(x), source=source))
        return x + self.drop(self.mlp(self.ln_3(x)))


class EncoderDecoder(nn.Module):
    """A source text, and what is written of another so far, to the logits of each next token of the other."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.emb = Embedding(config)
        self.blocks = nn.ModuleList(DecoderBlock(config, layer) for layer in range(config.n_layer))
        self.ln_f = norm(config)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size)

    def forward(self, source: Tensor, idx: Tensor) -> Tensor:
        """Shape: (B, S), (B, T) -> (B, T, V)"""
        read = self.encoder(source)  # (B, S, C)
        x = self.emb(idx)  # (B, T, C)
        for block in self.blocks:
            x = block(x, read)
        return self.lm_head(self.ln_f(x))
