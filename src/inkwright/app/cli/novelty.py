"""inkwright novelty"""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from inkwright import interrupt
from inkwright.app.cli.console import Output
from inkwright.app.cli.flags import SampleFlags, as_given, sample_config
from inkwright.config import TextConfig
from inkwright.errors import SettingError, UsageError, quoted


def novelty(
    run: Path,
    /,
    *texts: str,
    prompt: Annotated[str, Parameter(allow_leading_hyphen=True)] = "",
    count: int = 5,
    json: bool = False,
    flags: Annotated[Any, Parameter(name="*")] = None,
) -> int:
    """Say how much of what a model writes stands word for word in the text it was trained on.

    A passage counts as copied from so many characters on that real text, held out from the training, hardly has any.

    Parameters
    ----------
    run
        A run (its best checkpoint) or a checkpoint in one.
    texts
        Files to look at instead of samples; - for standard input.
    prompt
        What each sample begins with; FILE:name reads it from a file, - from standard input.
    count
        How many samples, each with the next seed.
    json
        One JSON object.
    """
    if not 1 <= count <= 10_000:
        raise SettingError("count", f"must be 1 to 10000 (got {quoted(count)})")
    sampling = sample_config(flags or SampleFlags())
    sources = [as_given(text) for text in texts]
    if sources and prompt:
        raise UsageError("--prompt is for samples, and texts were given", "give one of them")
    out = Output(json)

    from inkwright.app.cli.loading import load
    from inkwright.app.cli.sample import read_prompt
    from inkwright.session.judging import the_run_of
    from inkwright.session.novelty import measure, written
    from inkwright.text import corpus

    with interrupt.listening():
        beginning, kept = read_prompt(prompt), the_run_of(run)
        lm = load(run, out)
        if sources:
            documents = corpus.read(sources, TextConfig()).documents
            names, shown = [document.name for document in documents], [document.text for document in documents]
        else:
            names = [f"seed {(sampling.seed + number) % 2**63}" for number in range(count)]
            shown = written(lm, beginning, sampling, count)
        found = measure(kept, lm.tokenizer, shown)
    out.record(**found.facts())
    if not json:
        out.row("source", f"{kept.record['name']}: {len(found.source):,} characters that the model was trained on")
        for name, text in zip(names, found.texts, strict=True):
            at, length, place = text.longest
            where = f"the longest passage has {length:,}, in line {found.line(place):,}: "
            said = f"{text.share(found.least):.1%} of {len(text.text):,} characters; {where}"
            out.say()
            out.paragraph("copied", f"{quoted(name)}: {said}{quoted(repr(text.text[at : at + length]), 500)}")
        out.say()
        out.paragraph("verdict", found.sentence)
    return 0


novelty.__annotations__["flags"] = Annotated[SampleFlags, Parameter(name="*")]
