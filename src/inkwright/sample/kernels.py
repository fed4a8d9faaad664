"""The inner loops of fast writing, compiled by numba. Numbers only: knows no model, no settings and no text.

Every row, a token of some text, is computed by itself: each sum runs over its terms in one order, however many rows
come along and whatever they hold. So a text has the same bits alone and among others.

All of it is one file: what numba keeps on the disk is tied to the file that a function stands in, and with a part changed in
another file the old code would go on.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

PANEL = 64
"""Outputs whose weights lie side by side: four registers of 16 numbers, eight of 8, or sixteen of 4."""
LANES = 16
TILE = 6
"""Rows that share what is loaded of a panel."""
STRIP = PANEL if get_host_cpu_features().get("avx512f") else LANES
"""Columns that they share at a time: as many as TILE sums of them stay in the registers."""
NORMAL = {"contract", "reassoc", "nsz", "arcp", "afn"}  # not nnan, ninf: what is not finite must stay so


# ---------------------------------------------------------------- products


INTS, FLOATS = ir.VectorType(ir.IntType(32), LANES), ir.VectorType(ir.FloatType(), LANES)
STORED = {"float32": ir.FloatType(), "int8": ir.IntType(8), "uint32": ir.IntType(32)}
"""float32; a small integer; or two bfloat16, of a weight and of the next one in the sum, which shifts take apart."""


def _unpacked(builder: ir.IRBuilder, kind: str, value: Any) -> list[Any]:
    """Sixteen stored words as float32: the terms of one step of the sums, or of two."""
    if kind == "float32":
        return [value]
    if kind == "int8":
        return [builder.sitofp(builder.sext(value, INTS), FLOATS)]
    low = builder.shl(value, ir.Constant(INTS, [16] * LANES))
    high = builder.and_(value, ir.Constant(INTS, [0xFFFF0000] * LANES))
    return [builder.bitcast(half, FLOATS) for half in (low, high)]


def _tile(rows: int, columns: int) -> Any:
    """A product of `rows` x depth by depth x `columns` whose sums never leave the registers."""

    @intrinsic  # type: ignore[misc]
    def tile(typing_context, x, x_stride, w, w_start, w_stride, out, out_stride, depth):
        number = types.intp
        signature = types.void(number, number, w, number, number, number, number, number)

        def generate(context, builder, signature, arguments):
            x, x_stride, w, w_start, w_stride, out, out_stride, depth = arguments
            word, vectors = x.type, range(columns // LANES)
            kind = str(signature.args[2].dtype)
            stored, size = STORED[kind], 1 if kind == "int8" else 4
            fma = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(FLOATS, [FLOATS] * 3), f"llvm.fmuladd.v{LANES}f32"
            )

            def place(base, element, size):
                return builder.add(base, builder.mul(element, word(size)))

            def load(kind, address, align):
                return builder.load(builder.inttoptr(address, kind.as_pointer()), align=align)

            def everywhere(row, k):
                at = place(x, builder.add(builder.mul(x_stride, word(row)), k), 4)
                value = builder.insert_element(
                    ir.Constant(FLOATS, ir.Undefined), load(ir.FloatType(), at, 4), INTS.element(0)
                )
                return builder.shuffle_vector(value, value, ir.Constant(INTS, [0] * LANES))

            before, loop, after = builder.block, *map(builder.append_basic_block, ("loop", "after"))
            first = builder.ptrtoint(context.make_array(signature.args[2])(context, builder, w).data, word)
            first = place(first, w_start, size)
            builder.branch(loop)
            builder.position_at_end(loop)
            k, at = builder.phi(word), builder.phi(word)
            sums = [[builder.phi(FLOATS) for _ in vectors] for _ in range(rows)]
            words = [load(ir.VectorType(stored, LANES), builder.add(at, word(v * LANES * size)), size) for v in vectors]
            nexts, step = sums, word(0)
            for terms in zip(*(_unpacked(builder, kind, value) for value in words), strict=True):
                term = builder.add(k, step)  # a second term there may not be; its weight is then 0
                term = builder.select(builder.icmp_signed("<", term, depth), term, k) if step.constant else k
                nexts = [
                    [builder.call(fma, [value, terms[v], nexts[row][v]]) for v in vectors]
                    for row in range(rows)
                    for value in [everywhere(row, term)]
                ]
                step = word(step.constant + 1)
            for phi, start, following in [
                (k, word(0), builder.add(k, step)),
                (at, first, place(at, w_stride, size)),
                *((sums[row][v], ir.Constant(FLOATS, None), nexts[row][v]) for row in range(rows) for v in vectors),
            ]:
                phi.add_incoming(start, before)
                phi.add_incoming(following, loop)
            builder.cbranch(builder.icmp_signed("<", builder.add(k, step), depth), loop, after)
            builder.position_at_end(after)
            for row in range(rows):
                for v in vectors:
                    there = place(out, builder.add(builder.mul(out_stride, word(row)), word(v * LANES)), 4)
                    builder.store(nexts[row][v], builder.inttoptr(there, FLOATS.as_pointer()), align=4)

        return signature, generate

    return tile


_panel_of_one, _half_of_one, _strip_of_one = _tile(1, PANEL), _tile(1, PANEL // 2), _tile(1, LANES)
_strip_of_two, _strip_of_many = _tile(2, STRIP), _tile(TILE, STRIP)


@njit(fastmath=NORMAL, nogil=True, cache=True, error_model="numpy")
def linear(x, rows, depth, w, scale, bias, out):
    """out = x @ w * scale + bias, for the first `rows` rows; w is (panels, words for the depth, PANEL)."""
    x_at, out_at = x.ctypes.data, out.ctypes.data
    x_stride, out_stride = x.shape[1], out.shape[1]
    whole, even = rows // TILE * TILE, rows // 2 * 2
    for panel in range(w.shape[0]):
        start = panel * w.shape[1] * PANEL
        column = panel * PANEL
        for c in range(0, PANEL, STRIP):
            for row in range(0, whole, TILE):
                there = out_at + 4 * (row * out_stride + column + c)
                _strip_of_many(x_at + 4 * row * x_stride, x_stride, w, start + c, PANEL, there, out_stride, depth)
            for row in range(whole, even, 2):
                there = out_at + 4 * (row * out_stride + column + c)
                _strip_of_two(x_at + 4 * row * x_stride, x_stride, w, start + c, PANEL, there, out_stride, depth)
        for row in range(even, rows):
            there = out_at + 4 * (row * out_stride + column)
            _panel_of_one(x_at + 4 * row * x_stride, x_stride, w, start, PANEL, there, out_stride, depth)
        for row in range(rows):
            for c in range(column, column + PANEL):
                out[row, c] = out[row, c] * scale[c] + bias[c]


# ---------------------------------------------------------------- one number at a time


@intrinsic
def _float_of_bits(typing_context, bits: Any = None) -> Any:
    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


F = np.float32
LOG2E, LN2_HIGH, LN2_LOW = F(1.44269504), F(0.693145752), F(1.42860677e-6)
EXP = tuple(F(1 / math.factorial(n)) for n in range(8))
ERF = tuple(map(F, (0.3275911, 0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)))
ONE, HALF, ZERO = F(1), F(0.5), F(0)


@njit(fastmath={"contract"}, inline="always")
def exp(x):
    """e to the x, to the last bit or two: a power of two and a polynomial, so that many are computed at once."""
    x = F(-87) if x < F(-87) else x
    x = F(88) if x > F(88) else x
    n = np.floor(x * LOG2E + HALF)
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    p = EXP[6] + r * EXP[7]
    p = EXP[4] + r * (EXP[5] + r * p)
    p = ONE + r * (ONE + r * (EXP[2] + r * (EXP[3] + r * p)))
    return p * _float_of_bits((np.int32(n) + np.int32(127)) << np.int32(23))


@njit(fastmath={"contract"}, inline="always")
def erf(x):
    """The error function, to 1.5e-7.

    Source: Abramowitz and Stegun 1964, 7.1.26
    """
    size = abs(x)
    t = ONE / (ONE + ERF[0] * size)
    p = t * (ERF[1] + t * (ERF[2] + t * (ERF[3] + t * (ERF[4] + t * ERF[5]))))
    y = ONE - p * exp(-size * size)
    return -y if x < ZERO else y


@njit(fastmath=True, nogil=True, cache=True, error_model="numpy")
def _largest(x, size):
    """The largest of the first `size`; what there is not finite stays so in what is taken off by it."""
    largest = x[0]
    for t in range(1, size):
        largest = max(largest, x[t])
    return largest


GELU, GELU_TANH, RELU, SWIGLU, RELU_SQUARED = range(5)


@njit(fastmath={"contract"}, nogil=True, cache=True, error_model="numpy")
def activate(kind, hidden, rows, width):
    """The activation of the MLP, in place; of SwiGLU's two halves the first becomes the result."""
    for row in range(rows):
        x = hidden[row]
        if kind == GELU:
            for c in range(width):
                x[c] = HALF * x[c] * (ONE + erf(x[c] * F(0.70710678)))
        elif kind == GELU_TANH:
            for c in range(width):
                inner = F(0.79788456) * (x[c] + F(0.044715) * x[c] * x[c] * x[c])
                x[c] = x[c] * (ONE - ONE / (exp(F(2) * inner) + ONE))
        elif kind == RELU:
            for c in range(width):
                x[c] = ZERO if x[c] < ZERO else x[c]
        elif kind == RELU_SQUARED:
            for c in range(width):
                x[c] = ZERO if x[c] < ZERO else x[c] * x[c]
        else:
            for c in range(width):
                x[c] = x[c] / (ONE + exp(-x[c])) * x[width + c]


@njit(fastmath=NORMAL, nogil=True, cache=True, error_model="numpy")
def normalize(x, out, size, centred, eps, weight, bias):
    """LayerNorm of a row if `centred`, else RMSNorm."""
    mean, square = ZERO, ZERO
    if centred:
        for c in range(size):
            mean += x[c]
        mean /= F(size)
    for c in range(size):
        square += (x[c] - mean) * (x[c] - mean)
    scale = ONE / np.sqrt(square / F(size) + eps)
    for c in range(size):
        out[c] = (x[c] - mean) * scale * weight[c] + bias[c]


# ---------------------------------------------------------------- a model


class Sizes(NamedTuple):
    """What is one number of a model."""

    n_embd: int
    n_head: int
    head_size: int
    hidden: int
    """Width of the MLP."""
    block_size: int
    vocab_size: int
    activation: int
    centred: bool
    """LayerNorm, not RMSNorm."""
    normed_input: bool
    """The residual stream begins with a norm that has nothing learned."""


class Weights(NamedTuple):
    """A GPT as the kernels read it. A matrix is (layers, panels, words for the depth, PANEL), with scales and biases."""

    sizes: Sizes
    eps: Any
    tokens: Any
    """(rows, C): the V tokens; then for each length of gram its grams, and one row for all others."""
    grams: Any
    """The grams of 2, 3 ... tokens, one list after the other, as `model/grams.py` numbers them."""
    gram_ends: Any
    """Where each of these lists ends, after a 0."""
    positions: Any
    rotary: Any
    norms: Any
    head_norms: Any
    qkv: Any
    qkv_scale: Any
    qkv_bias: Any
    out: Any
    out_scale: Any
    out_bias: Any
    up: Any
    up_scale: Any
    up_bias: Any
    down: Any
    down_scale: Any
    down_bias: Any
    head: Any
    head_scale: Any
    head_bias: Any


class Room(NamedTuple):
    """Where rows are computed: `rows` at a time."""

    stream: Any
    normed: Any
    qkv: Any
    gathered: Any
    hidden: Any
    logits: Any
    scores: Any
    strip: Any
    rows: Any
    """(rows, 2): the slot and the position of each."""
    last: Any
    probs: Any


class Texts(NamedTuple):
    """What is written, a slot a text."""

    keys: Any
    values: Any
    """Both (slots, layers, heads, T, channels of a head, made a multiple of LANES)."""
    context: Any
    places: Any
    """(slots, T, order): the place of each gram that ends at a position in the list of its length; -1: it is not there."""
    length: Any
    read: Any
    """How many tokens of the context the cache holds."""
    wishes: Any
    """temperature, top-k, top-p, min-p, and the three penalties"""
    bias: Any
    present: Any
    written: Any
    points: Any
    """Random numbers, used one after the other."""
    used: Any
    logits: Any
    ids: Any
    logprobs: Any


@njit(nogil=True, cache=True)
def find(grams, start, end, gram):
    """The place of a gram in the list that is grams[start:end], sorted; -1: it is not there."""
    low, high = start, end
    while low < high:
        middle = (low + high) // 2
        if grams[middle] < gram:
            low = middle + 1
        else:
            high = middle
    return low - start if low < end and grams[low] == gram else -1


@njit(fastmath=NORMAL, nogil=True, cache=True, error_model="numpy")
def begin(model, texts, slot, position, out):
    """What a row begins with: the vectors of its token, of the grams that end there, and of its position."""
    C, V = model.sizes.n_embd, model.sizes.vocab_size
    places, token = texts.places[slot], texts.context[slot, position]
    places[position, 0] = token
    for c in range(C):
        out[c] = (
            model.tokens[token, c] + model.positions[position, c] if model.positions.size else model.tokens[token, c]
        )
    for k in range(1, len(model.gram_ends)):
        start, end = model.gram_ends[k - 1], model.gram_ends[k]
        before = places[position - 1, k - 1] if position else -1
        place = find(model.grams, start, end, before * V + token) if before >= 0 else -1
        places[position, k] = place
        row = V + start + k - 1 + (place if place >= 0 else end - start)  # one more after each list before
        for c in range(C):
            out[c] += model.tokens[row, c]
    if model.sizes.normed_input:
        weight, bias = model.norms[-1]
        normalize(out, out, C, model.sizes.centred, model.eps[1], weight, bias)


@njit(fastmath=NORMAL, nogil=True, cache=True, error_model="numpy")
def turn(x, rotary, size):
    """Rotary positions, in place."""
    for c in range(size // 2):
        left, right = x[c], x[c + size // 2]
        x[c] = left * rotary[0, c] - right * rotary[1, c]
        x[c + size // 2] = right * rotary[0, c] + left * rotary[1, c]


@njit(fastmath=NORMAL, nogil=True, cache=True, error_model="numpy")
def remember(model, layer, texts, slot, position, qkv):
    """Keys and values of a row into its text's cache; queries and keys normalised and turned where the shape does."""
    C, size = model.sizes.n_embd, model.sizes.head_size
    for head in range(model.sizes.n_head):
        q, k, v = head * size, C + head * size, 2 * C + head * size
        if model.rotary.size:
            for part, start in enumerate((q, k)):
                x = qkv[start : start + size]
                weight, bias = model.head_norms[layer, part], model.head_norms[layer, 2]
                normalize(x, x, size, model.sizes.centred, model.eps[0], weight, bias)
                turn(x, model.rotary[:, position], size)
        key, value = texts.keys[slot, layer, head, position], texts.values[slot, layer, head, position]
        for c in range(size):
            key[c], value[c] = qkv[k + c], qkv[v + c]


@njit(fastmath=NORMAL, nogil=True, cache=True, error_model="numpy")
def gather(model, layer, texts, slot, position, qkv, room, out):
    """What a row learns from its past, head by head."""
    heads, size = model.sizes.n_head, model.sizes.head_size
    wide = texts.values.shape[4]
    scores, strip = room.scores, room.strip
    shrink = ONE / np.sqrt(F(size))
    for head in range(heads):
        keys, values = texts.keys[slot, layer, head], texts.values[slot, layer, head]
        query = qkv[head * size : (head + 1) * size]
        for t in range(position + 1):
            score = ZERO
            for c in range(size):
                score += query[c] * keys[t, c]
            scores[t] = score
        largest = _largest(scores, position + 1)
        total = ZERO
        for t in range(position + 1):
            scores[t] = exp((scores[t] - largest) * shrink)
            total += scores[t]
        c = 0
        while c < wide:
            there = strip.ctypes.data + 4 * c
            if wide - c >= PANEL:
                _panel_of_one(scores.ctypes.data, 0, values, c, wide, there, 0, position + 1)
                c += PANEL
            elif wide - c >= PANEL // 2:
                _half_of_one(scores.ctypes.data, 0, values, c, wide, there, 0, position + 1)
                c += PANEL // 2
            else:
                _strip_of_one(scores.ctypes.data, 0, values, c, wide, there, 0, position + 1)
                c += LANES
        for c in range(size):
            out[head * size + c] = strip[c] / total


@njit(fastmath=NORMAL, nogil=True, cache=True, error_model="numpy")
def read(model, texts, room, rows):
    """Take the first `rows` rows of the room through the model; texts that end there get their logits."""
    C, hidden, V = model.sizes.n_embd, model.sizes.hidden, model.sizes.vocab_size
    kind, centred = model.sizes.activation, model.sizes.centred
    for r in range(rows):
        begin(model, texts, room.rows[r, 0], room.rows[r, 1], room.stream[r])
    for layer in range(model.qkv.shape[0]):
        for r in range(rows):
            weight, bias = model.norms[2 * layer]
            normalize(room.stream[r], room.normed[r], C, centred, model.eps[1], weight, bias)
        linear(room.normed, rows, C, model.qkv[layer], model.qkv_scale[layer], model.qkv_bias[layer], room.qkv)
        for r in range(rows):
            remember(model, layer, texts, room.rows[r, 0], room.rows[r, 1], room.qkv[r])
            gather(model, layer, texts, room.rows[r, 0], room.rows[r, 1], room.qkv[r], room, room.gathered[r])
        linear(room.gathered, rows, C, model.out[layer], model.out_scale[layer], model.out_bias[layer], room.normed)
        for r in range(rows):
            for c in range(C):
                room.stream[r, c] += room.normed[r, c]
            weight, bias = model.norms[2 * layer + 1]
            normalize(room.stream[r], room.normed[r], C, centred, model.eps[1], weight, bias)
        linear(room.normed, rows, C, model.up[layer], model.up_scale[layer], model.up_bias[layer], room.hidden)
        activate(kind, room.hidden, rows, hidden)
        linear(
            room.hidden, rows, hidden, model.down[layer], model.down_scale[layer], model.down_bias[layer], room.normed
        )
        for r in range(rows):
            for c in range(C):
                room.stream[r, c] += room.normed[r, c]
    ends = 0
    for r in range(rows):
        slot, position = room.rows[r]
        texts.read[slot] = position + 1
        if position + 1 == texts.length[slot]:
            weight, bias = model.norms[2 * model.qkv.shape[0]]
            normalize(room.stream[r], room.normed[ends], C, centred, model.eps[1], weight, bias)
            room.last[ends] = slot
            ends += 1
    linear(room.normed, ends, C, model.head[0], model.head_scale[0], model.head_bias[0], room.logits)
    for end in range(ends):
        for c in range(V):
            texts.logits[room.last[end], c] = room.logits[end, c]


# ---------------------------------------------------------------- a draw


@njit(nogil=True, cache=True, error_model="numpy")
def wished(logits, wishes, bias, present, written, probs):
    """The distribution after penalties, biases and temperature, largest probability first if it is filtered.

    Gives back the order of the ids (empty: as they are) and the sum of the probabilities; a sum of 0 tells that some
    logit is no finite number.
    """
    V = len(probs)
    temperature, top_k, top_p, min_p = wishes[0], int(wishes[1]), wishes[2], wishes[3]
    repetition, presence, frequency = F(wishes[4]), F(wishes[5]), F(wishes[6])
    largest, best = -np.inf, 0
    for c in range(V):
        x = logits[c]
        if present[c] and repetition != ONE:
            x = x / repetition if x > ZERO else x * repetition
        if written[c] > ZERO:
            x = (x - presence) - frequency * written[c]
        x = x + bias[c]
        probs[c] = x
        if not x <= largest:  # nan too
            largest, best = float(x), c
            if x != x:
                break
    if not np.isfinite(largest):
        return 0.0
    total = 0.0
    for c in range(V):
        probs[c] = (1.0 if c == best else 0.0) if temperature == 0 else math.exp((probs[c] - largest) / temperature)
        total += probs[c]
    if temperature and (0 < top_k < V or top_p < 1):
        total = _likeliest(probs, total, top_k if 0 < top_k < V else V, top_p, min_p)
    elif temperature and min_p:
        kept = 0.0
        for c in range(V):
            probs[c] = probs[c] if probs[c] >= min_p else 0.0  # the largest is 1
            kept += probs[c]
        total = kept
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def _by_size(probs):
    """The ids, likeliest first; of equal ones the smaller first. A merge sort: numpy's takes seconds to compile."""
    V, run = len(probs), 1
    order, merged = np.arange(V), np.zeros(V, np.int64)
    while run < V:
        for start in range(0, V, 2 * run):
            left, right = start, min(start + run, V)
            middle, end = right, min(start + 2 * run, V)
            for i in range(start, end):
                if left < middle and (right == end or probs[order[left]] >= probs[order[right]]):
                    merged[i] = order[left]
                    left += 1
                else:
                    merged[i] = order[right]
                    right += 1
        order, merged = merged, order
        run *= 2
    return order


@njit(nogil=True, cache=True, error_model="numpy")
def _likeliest(probs, total, top_k, top_p, min_p):
    """Put to zero what top-k, top-p and min-p leave out; what is kept in sum."""
    order = _by_size(probs)
    whole = 0.0
    for i in range(top_k):
        whole += probs[order[i]] / total
    before, kept = 0.0, 0.0
    least = min_p * (probs[order[0]] / total)
    for i in range(len(order)):
        share = probs[order[i]] / total
        if i >= top_k or before / whole >= top_p or share < least:
            probs[order[i]] = 0.0
        else:
            kept += probs[order[i]]
        before += share
    return kept


@njit(nogil=True, cache=True, error_model="numpy")
def draw(texts, slot, probs):
    """The next token of a text into its context; its id, or -1 where the model gave no finite numbers."""
    logits = texts.logits[slot]
    total = wished(logits, texts.wishes[slot], texts.bias[slot], texts.present[slot], texts.written[slot], probs)
    if not total > 0:
        return -1
    point = texts.points[slot, texts.used[slot]] * total
    texts.used[slot] += 1
    chosen, reached = -1, 0.0
    for c in range(len(probs)):
        if probs[c] > 0:
            chosen = c
            reached += probs[c]
            if reached > point:
                break
    largest = logits[0]
    for c in range(len(probs)):
        largest = max(largest, logits[c])
    spread = 0.0
    for c in range(len(probs)):
        spread += math.exp(float(logits[c]) - float(largest))
    texts.logprobs[slot] = float(logits[chosen]) - float(largest) - math.log(spread)
    texts.ids[slot] = chosen
    texts.present[slot, chosen] = True
    texts.written[slot, chosen] += ONE
    texts.context[slot, texts.length[slot]] = chosen
    texts.length[slot] += 1
    return chosen


@njit(nogil=True, cache=True, error_model="numpy")
def advance(model, texts, room, slots):
    """One more token for each of these texts; the slot of the first that has no finite logits, or -1."""
    T, at_once, rows = model.sizes.block_size, len(room.rows), 0
    for slot in slots:
        if texts.length[slot] > T:  # the context is full: keep its last half and read again
            kept = max(1, T // 2)
            for i in range(kept):
                texts.context[slot, i] = texts.context[slot, texts.length[slot] - kept + i]
            texts.length[slot], texts.read[slot] = kept, 0
        for position in range(texts.read[slot], texts.length[slot]):
            room.rows[rows, 0], room.rows[rows, 1] = slot, position
            rows += 1
            if rows == at_once:
                read(model, texts, room, rows)
                rows = 0
    if rows:
        read(model, texts, room, rows)
    for slot in slots:
        if draw(texts, slot, room.probs) < 0:
            return slot
    return -1
