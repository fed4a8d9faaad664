"""inkwright eval"""

from pathlib import Path

from inkwright.app.cli.console import Output
from inkwright.app.cli.flags import as_given
from inkwright.config import TextConfig, build


def eval(
    run: Path,
    /,
    *texts: str,
    per_token: bool = False,
    encoding: str = "utf-8",
    normalize: str | None = None,
    strict: bool = False,
    json: bool = False,
) -> int:
    """Measure how well a model knows a text: exactly, every token once.

    Parameters
    ----------
    run
        A run (its best checkpoint), a checkpoint, or a Hugging Face folder.
    texts
        What to judge it on [default: the part of its own text that it was not trained on].
    per_token
        Also write the log-probability of every token.
    encoding
        Encoding of the text.
    normalize
        Unicode normal form to bring the text to.
    strict
        Refuse when a checkpoint is damaged, instead of using another.
    json
        One JSON object; with --per-token a line for each token before it.
    """
    out = Output(json)
    config = build(TextConfig, {"encoding": encoding, "normalize": normalize})

    from inkwright.app.cli.lines import rows
    from inkwright.app.cli.loading import load
    from inkwright.session.judging import held_out, judge, passage, scale
    from inkwright.session.verdict import against

    lm = load(run, out, strict)
    sources = [as_given(text) for text in texts]
    text = passage(lm, run, sources, config) if sources else held_out(run)
    for note in text.notes:
        out.note(note.message, note.hint)
    if per_token:
        scores = lm.score_ids(text.ids)
        for token_id, token, logprob in zip(text.ids, scores.tokens, scores.logprobs, strict=True):
            out.record(token=token, id=int(token_id), logprob=logprob)
            if not json:
                print(f"{'-' if logprob is None else format(logprob, '.4f'):>9}  {token!r}")
    found = judge(lm, text)
    lines = scale(lm, run, text, own=not sources)
    out.record(**found, baseline=lines)
    if not json:
        out.row("loss", f"{found['loss']:.4f} ± {found['loss_stderr']:.4f} nats per token ({found['metric']})")
        out.row("", f"{found['bits_per_char']:.4f} bits per character, {found['bits_per_byte']:.4f} bits per byte")
        out.row("text", f"{found['tokens']:,} tokens, {found['characters']:,} characters, each scored once")
        if lines:
            rows(lines, out)
            out.paragraph("", against(found["loss"], lines).sentence)
    return 0
