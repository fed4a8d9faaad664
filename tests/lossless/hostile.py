"""Row S17, and the texts that it and the pages are tried with: what would run in a careless page or steer a terminal."""

import os
import pty
import sys
import tty
from contextlib import suppress
from pathlib import Path

import inkwright
from inkwright.app import cli
from tests.lossless.harness import TINY, Tally, begin, finish, fork, run_through

RUNS = "window.ran=1"
SCRIPTS = [
    f"<script>{RUNS}</script>", f"<SCRIPT>{RUNS}</SCRIPT>", f"<script\n>{RUNS}</script\n>",
    f"<script type=module>{RUNS}</script>", f"</script><script>{RUNS}</script>", f"</textarea><script>{RUNS}</script>",
    f"</title><script>{RUNS}</script>", f"</style><script>{RUNS}</script>", f"</pre><script>{RUNS}</script>",
    f"--><script>{RUNS}</script>", f"]]><script>{RUNS}</script>", f"<<script>{RUNS}//<</script>",
    f"<scr<script>ipt>{RUNS}</script>", f"<script/x>{RUNS}</script>", "<script src=//evil.test/a.js></script>",
    "<script src=https://evil.test/a.js></script>", "<script src=data:,window.ran=1></script>",
    f"<img src=x onerror={RUNS}>", f"<img src=x onerror='{RUNS}'>", f'<img src=x onerror="{RUNS}">',
    f"<img/src=x/onerror={RUNS}>", f"<IMG SRC=x OnError={RUNS}>", f"<img src=x:x onerror={RUNS}//",
    f'"><img src=x onerror={RUNS}>', f"'><img src=x onerror={RUNS}>", f"`><img src=x onerror={RUNS}>",
    "<img src=https://evil.test/a.png>", "<img srcset=//evil.test/a.png>", f"<svg onload={RUNS}>",
    f"<svg/onload={RUNS}>", f"<svg><script>{RUNS}</script></svg>",
    f"<svg><animate onbegin={RUNS} attributeName=x dur=1s>", f"<svg><a href=javascript:{RUNS}><text y=9>a</text></a>",
    f"<math><mtext><script>{RUNS}</script>", f"<body onload={RUNS}>", f"<video src=x onerror={RUNS}>",
    f"<audio src=x onerror={RUNS}>", f"<details open ontoggle={RUNS}>", f"<input autofocus onfocus={RUNS}>",
    f"<select autofocus onfocus={RUNS}>", f"<marquee onstart={RUNS}>", f"<iframe src=javascript:{RUNS}></iframe>",
    f"<iframe srcdoc='<script>parent.{RUNS}</script>'></iframe>", "<iframe src=https://evil.test></iframe>",
    "<object data=https://evil.test></object>", "<embed src=https://evil.test>",
    "<link rel=stylesheet href=https://evil.test/a.css>", "<style>@import 'https://evil.test/a.css';</style>",
    "<style>*{background:url(//evil.test/a)}</style>", "<base href=https://evil.test/>",
    "<meta http-equiv=refresh content='0;url=https://evil.test'>",
    f"<form action=javascript:{RUNS}><button autofocus>a", f'" onfocus={RUNS} autofocus x="',
    f"' onmouseover={RUNS} x='", f"javascript:{RUNS}", f"&lt;script&gt;{RUNS}&lt;/script&gt;",
    f"&#60;script&#62;{RUNS}&#60;/script&#62;", f"\\u003cscript\\u003e{RUNS}\\u003c/script\\u003e", f"${{{RUNS}}}",
    f"{{{{{RUNS}}}}}",
]  # fmt: skip
"""Each would set `window.ran`, or fetch something from evil.test."""
BEL, ST = "\x07", "\x1b\\"
CONTROLS = [
    "\x1b[31mred", "\x1b[0m", "\x1b[2J", "\x1b[H", "\x1b[1A\x1b[2K", "\x1b[?1049h", "\x1b[?25l", "\x1b[?1000h",
    "\x1b[6n", "\x1b[c", "\x1b[21t", "\x1b[8;1;1t", "\x1b[5i", "\x1b[38;2;1;2;3m", "\x1bc", "\x1b#8", "\x1b(0",
    "\x1b7\x1b8", "\x1b", f"\x1b]0;title{BEL}", f"\x1b]2;title{ST}", f"\x1b]8;;http://evil.test{ST}link\x1b]8;;{ST}",
    f"\x1b]8;;file:///etc/passwd{BEL}a", f"\x1b]52;c;ZXZpbA=={BEL}", f"\x1b]52;c;?{ST}", f"\x1b]4;1;?{BEL}",
    f"\x1b]1337;File=a:YQ=={BEL}", f"\x1bP$q\"p{ST}", f"\x1b_Gf=24;YQ=={ST}", f"\x1b^a{ST}", f"\x1bX a{ST}", "\x9b31m",
    "\x9d0;title\x9c", "\x90q\x9c", "\x85\x84", "\x08\x08\x08ok", "\rok", "\x0b\x0c\x0e\x0f", "\x7f\x18\x1a\x05",
    "\u202eabc\u202c\u2066\u2069\u200f\u061c\u2028",
]  # fmt: skip
"""Sequences that a terminal obeys, the short C1 forms, and characters that turn the direction of writing."""


def terminals(place: Path, tally: Tally) -> None:
    """S17. On a terminal nothing but \\n and \\t steers, whatever a model writes or a name says; `--raw` is exact."""
    lines = "".join(f"{'abc dab ' * 30}{text}\n" for text in CONTROLS)  # with fewer words it is refused as no text
    (place / "evil.txt").write_text(lines, encoding="utf-8", newline="")
    run = run_through(begin(place / "evil.txt", place / "run", **TINY | dict(steps=2, eval_every=2)))
    lm = inkwright.load(run)
    while tally.more():
        at = tally.trials
        text, turn = CONTROLS[at % len(CONTROLS)], (at + at // len(CONTROLS)) % 4  # each text comes to each view
        with tally.trial(repr(text)):
            seed = tally.random.randrange(10**6)
            ask = ["sample", str(run), "--prompt", text, "--tokens", "60", "--temperature", "5", "--seed", str(seed)]
            others = [["info", text], ["sample", str(run), f"--{text}"], ["doctor", _named(place, text)]]
            if turn:
                views = [ask, others[turn - 1]]
            else:
                views = [ask]
                written = lm.generate(text, max_new_tokens=60, temperature=5.0, seed=seed)
                assert _shown(place, *ask, "--raw").endswith(f"{text}{written}\n")
            for words in views:
                seen = _shown(place, *words)
                steering = {char for char in seen if not char.isprintable() and char not in "\n\t"}
                assert seen and not steering, (words[0], steering)


def _named(place: Path, text: str) -> str:
    """A file that has the text in its name and its lines."""
    path = place / f"{text.replace('/', '_')}.txt"
    path.write_text(f"{text}\n" * 50, encoding="utf-8", newline="")
    return str(path)


def _shown(place: Path, *words: str) -> str:
    """What a command writes to a terminal of its own, which changes nothing of it."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)

    def work() -> int:
        os.close(ours)
        os.environ |= {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200"}
        sys.stdout = sys.stderr = open(theirs, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        return cli.run(list(words))

    pid = fork(work, place / "log")
    os.close(theirs)
    found = b""
    with suppress(OSError):  # Linux says so when the other side is gone
        while part := os.read(ours, 65536):
            found += part
    os.close(ours)
    assert finish(pid)[0] in (0, 2, 3, 4)
    return found.decode("utf-8")
