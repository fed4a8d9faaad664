"""inkwright info"""

from pathlib import Path
from typing import Any

from inkwright.app.cli.console import Output, duration


def info(run: Path, /, *, json: bool = False) -> int:
    """Say what a run, a checkpoint or a model folder is.

    Parameters
    ----------
    run
        Its folder.
    json
        One JSON object.
    """
    out = Output(json)

    from inkwright.app.cli.loading import load
    from inkwright.run.card import describe, figures
    from inkwright.run.folder import best_checkpoint, checkpoint_folders, step_of
    from inkwright.session.judging import run_of
    from inkwright.session.verdict import Finding, of_run

    lm = load(run, out)
    facts: dict[str, Any] = {
        "folder": str(run),
        "model": lm.model.config.model_dump(),
        "parameters": lm.model.parameter_count,
        "tokenizer": lm.tokenizer.kind,
        "vocab_size": lm.tokenizer.vocab_size,
    }
    rows = [("model", describe(lm.model.config)), ("", f"{lm.model.parameter_count:,} parameters")]
    rows.append(("tokens", f"{lm.tokenizer.kind}, {lm.tokenizer.vocab_size:,} different"))
    opened = run_of(run)
    findings: list[Finding] = []
    if opened is not None:
        steps = [step_of(path) for path in checkpoint_folders(opened.folder)]
        path, best = best_checkpoint(opened.folder)
        reports = opened.reports()
        config = opened.config
        facts |= {
            "run": str(opened.folder), "id": opened.record["id"], "begun": opened.record["begun"],
            "version": opened.record["version"], "texts": opened.record["texts"],
            "fingerprint": opened.record["fingerprint"], "step": max(steps), "steps": config.train.steps,
            "best_step": best["step"], "val_loss": best.get("val_loss"), "bits_per_char": best.get("bits_per_char"),
            "checkpoint": str(path), "checkpoints": steps, "seconds": reports[-1].get("seconds", 0.0) if reports else 0.0,
            "config": config.model_dump(mode="json"), "changes": opened.record["changes"],
            "conditions": opened.record["conditions"],
        }  # fmt: skip
        rows.append(("text", f"{opened.record['name']} ({', '.join(opened.record['texts'])})"))
        rows.append(("training", f"step {max(steps):,} of {config.train.steps:,}, {duration(facts['seconds'])}"))
        if facts["val_loss"] is not None:
            rows.append(("best", f"step {best['step']:,}: {figures(best)}"))
        rows.append(("kept", "steps " + ", ".join(f"{step:,}" for step in steps)))
        made_with = f"inkwright {opened.record['version']}, torch {opened.record['conditions']['torch']}"
        rows.append(("begun", f"{opened.record['begun']} with {made_with}"))
        findings = of_run(opened)
        facts["findings"] = [vars(finding) for finding in findings]
    out.record(**facts)
    if not json:
        for label, text in rows:
            out.row(label, text)
        for i, finding in enumerate(findings):
            out.paragraph("" if i else "verdict", finding.sentence)
    return 0
