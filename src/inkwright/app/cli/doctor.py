"""inkwright doctor"""

from typing import Annotated, Any

from cyclopts import Parameter

from inkwright.app.cli.console import Output, complain
from inkwright.app.cli.flags import Flags, as_given, gather
from inkwright.config import resolve
from inkwright.errors import InkwrightError, UsageError
from inkwright.text.doctor import findings
from inkwright.text.reading import codec_name


def doctor(*texts: str, json: bool = False, flags: Annotated[Any, Parameter(name="*")] = None) -> int:
    """Say what is odd about a text, before any training. Trains nothing and leaves no file.

    Parameters
    ----------
    texts
        A file, a folder, a glob, - for standard input, or a named text.
    json
        One JSON object.
    """
    if not texts:
        raise UsageError("which text?", "inkwright doctor input.txt")
    out = Output(json)
    config = resolve(gather(flags, None).settings).text
    codec_name(config.encoding)
    report = findings([as_given(text) for text in texts], config)
    out.record(
        findings=[vars(finding) for finding in report.findings], summary=report.summary, exit_code=report.exit_code
    )
    for finding in report.findings:
        if finding.level == "error":
            complain(InkwrightError(finding.message, finding.hint))
        else:
            out.note(finding.message, finding.hint)
    if report.summary and not json:
        describe(report.summary, out)
    return report.exit_code


def describe(summary: dict[str, Any], out: Output) -> None:
    """What the text is, in a few rows."""
    s = summary
    out.row("size", f"{s['characters']:,} characters, {s['bytes']:,} bytes, {s['lines']:,} lines")
    if s["documents"] > 1:
        out.row("documents", f"{s['documents']:,}")
    rarest = ", ".join(f"{c['character']!r} ({c['count']:,})" for c in s["unusual_characters"][:5])
    out.row(
        "alphabet", f"{s['distinct_characters']:,} different characters" + (f"; rarest: {rarest}" if rarest else "")
    )
    out.row("split", f"{s['train_characters']:,} characters train, {s['val_characters']:,} validate")
    out.row(
        "repeated",
        f"{s['repeated_line_share']:.1%} of the long lines; {s['leak_share']:.1%} of those that validate also train",
    )


doctor.__annotations__["flags"] = Annotated[Flags, Parameter(name="*")]
