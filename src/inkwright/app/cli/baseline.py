"""inkwright baseline"""

from typing import Annotated, Any

from cyclopts import Parameter

from inkwright import interrupt
from inkwright.app.cli.console import Output
from inkwright.app.cli.flags import Flags, as_given, gather
from inkwright.config import resolve


def baseline(*texts: str, json: bool = False, flags: Annotated[Any, Parameter(name="*")] = None) -> int:
    """Say what a loss on a text means: what guessing, counting and packing need for it. Trains nothing.

    Every line is judged on the part that a model would be judged on. With --block-size the context begins anew every so
    many tokens, as it does for a model of that context; without, each token sees all before it.

    Parameters
    ----------
    texts
        A file, a folder, a glob, - for standard input, or a named text: pydocs (the default), shakespeare.
    json
        One JSON line for each line of the scale.
    """
    out = Output(json)
    settings = gather(flags, None).settings
    config = resolve(settings)
    sources = [as_given(text) for text in texts] or ["pydocs"]

    from inkwright.app.cli.lines import table
    from inkwright.session.judging import scale_of

    with interrupt.listening():
        corpus, text, lines = scale_of(sources, config, config.model.block_size if "block_size" in settings else None)
    for line in lines:
        out.record(**line)
    if not json:
        train, val = text["train"], text["val"]
        out.row("text", f"{corpus.name}: {train['characters']:,} characters train, {val['characters']:,} validate")
        out.row("judged on", f"{val['tokens'] - 1:,} tokens, each scored once")
        for note in corpus.notes:
            out.note(note.message, note.hint)
        out.say()
        table(lines, out)
        best = min(lines, key=lambda line: line["loss"])
        out.say()
        out.say(f"A model earns its minutes on this text with a validation loss below {best['loss']:.3f}.")
    return 0


baseline.__annotations__["flags"] = Annotated[Flags, Parameter(name="*")]
