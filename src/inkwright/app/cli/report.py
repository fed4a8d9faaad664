"""inkwright report"""

from pathlib import Path

from inkwright import interrupt
from inkwright.app.cli.console import Output
from inkwright.config import SampleConfig

SAMPLES, SAMPLE_TOKENS = 3, 400


def report(run: Path, /, *, out: Path | None = None, json: bool = False) -> int:
    """Write one page about a run: what its loss means, how it learned, what it writes, how much of that is copied.

    The page is one file that works offline, in light and dark, on a phone too.

    Parameters
    ----------
    run
        A run, finished or not, or a checkpoint in one.
    out
        Where to write the page [default: report.html in the run's folder].
    json
        One JSON object with the findings.
    """
    output = Output(json)

    from inkwright import storage
    from inkwright.app.cli.loading import load
    from inkwright.app.page.report import Portrait, build, shown
    from inkwright.errors import DamagedError
    from inkwright.run.folder import best_checkpoint
    from inkwright.session.judging import the_run_of
    from inkwright.session.novelty import measure, written
    from inkwright.session.verdict import of_run

    kept = the_run_of(run)
    path = out or kept.folder / "report.html"
    with interrupt.listening():
        lm = load(kept.folder, output)
        fresh = written(lm, "", SampleConfig(max_new_tokens=SAMPLE_TOKENS), SAMPLES)
        texts = [sample.text for sample in shown(kept.reports())] + fresh
        novelty = None
        try:
            novelty = measure(kept, lm.tokenizer, texts)
        except DamagedError as error:
            output.warn(f"{error.message}; how much is copied was not measured")
        findings = of_run(kept)
        portrait = Portrait(kept, findings, best_checkpoint(kept.folder)[1]["step"], fresh, novelty)
        storage.replace(path, build(portrait).encode())
    told = [vars(finding) for finding in findings]
    output.record(page=str(path), findings=told, novelty=novelty and novelty.facts())
    if not json:
        sentences = [*(finding.sentence for finding in findings), *([portrait.copying] if portrait.copying else [])]
        for i, sentence in enumerate(sentences):
            output.paragraph("" if i else "verdict", sentence)
        output.row("page", f"{path} (one file, works offline)")
    return 0
