"""The table: each promise as a row, how often it is tried in `make test`, and how often in `make soak`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.lossless import going_on, hostile, inputs, saving, serving
from tests.lossless.harness import Tally


@dataclass(frozen=True)
class Row:
    """One kind of trial."""

    name: str
    claim: str
    ci: int
    """Trials in `make test`; 0: too long for it, or the suite has them as tests of their own."""
    soak: int
    run: Callable[[Path, Tally], None]
    minutes: float = 1.0
    """About how long the soak's trials take on one core."""


ZOO = inputs.tests_named("tests/app/test_bad_inputs.py", "-k", "a_text_that_is_odd")
FOLDERS = inputs.tests_named("tests/text/test_corpus.py", "-k", "link or regular")

SERVER = inputs.tests_named("tests/server", "-m", "long or slow")
BROWSER = inputs.tests_named("tests/browser", "-m", "slow")

ROWS = [
    Row("T1", "killed anywhere: the same weights as the unbroken run", 100, 900, going_on.killed_anywhere, 8),
    Row("T1 command", "the same with the real command", 0, 100, going_on.command_killed, 10),
    Row("T2", "killed while saving, or after any call of a save", 150, 1000, saving.killed_while_saving, 4),
    Row("T3", "power lost after any call: old or new loads", 1500, 200_000, saving.power_lost, 12),
    Row("T3 strace", "the order of writes, as the system sees it", 1, 20, saving.order_of_writes, 1),
    Row("T4", "any byte of a run flipped is noticed and named", 3000, 10**9, saving.flipped, 6),
    Row("T5", "files cut, swapped, deleted, zeroed, linked", 500, 10**9, saving.cut_and_swapped, 6),
    Row("T6", "disk full at byte k", 20, 500, saving.full_disks, 3),
    Row("T7", "the n-th call to the disk fails", 76, 10**9, saving.failing_calls, 2),
    Row("T8", "the folder is taken away or read-only", 6, 60, saving.taken_away, 2),
    Row("T9", "a signal at any time: saved, 130 or 143", 60, 500, going_on.stopped_by_a_signal, 12),
    Row("T10", "several trainings at once: one writer", 20, 200, going_on.one_writer, 2),
    Row("T11", "another text or shape is refused", 15, 150, going_on.changed_texts, 1),
    Row("T12", "gone on with from any step: bit-identical", 20, 118, going_on.exact_resume, 4),
    Row("T13", "thread counts", 2, 4, going_on.thread_counts, 2),
    Row("T15", "nan and inf never reach a checkpoint", 27, 600, going_on.poisoned, 4),
    Row("T16", "a wild learning rate leaves the best as it was", 3, 21, going_on.wild_learning_rates, 1),
    Row("T17", "no more memory", 3, 10, going_on.out_of_memory, 1),
    Row("T18", "saves, kills and damage: one is always whole", 50, 500, saving.killed_and_damaged, 6),
    Row("T19", "clock, zone, language, umask, path", 9, 40, going_on.surroundings, 1),
    Row("T20", "a newer format is refused", 2, 2, saving.refused_versions, 1),
    Row("T21", "steady kills; memory does not grow", 0, 90, going_on.steady_kills, 16),
    Row("C1", "any command line", 1500, 50_000, inputs.command_lines_of_any_kind, 28),
    Row("C2", "damaged files", 1000, 20_000, inputs.damaged_files, 6),
    Row("C3", "any text comes back from every tokenizer", 1000, 100_000, inputs.any_text, 1),
    Row("C3 zoo", "odd texts are trained or refused", 0, 1, ZOO, 2),
    Row("C4", "bombs", 14, 14, inputs.bombs, 1),
    Row("C5", "archives", 20, 20, inputs.archives, 1),
    Row("C5 folders", "links, devices, pipes", 0, 1, FOLDERS, 1),
    Row("C6", "nothing is unpickled", 200, 264, inputs.pickles, 1),
    Row("S1", "any body on any route of the server", 4000, 100_000, serving.bodies_of_any_kind, 8),
    Row("S3", "any bytes on its socket", 300, 20_000, serving.bytes_of_any_kind, 3),
    Row("S4", "500 streams at once: 72 are taken on", 0, 20, serving.crowds, 7),
    Row("S5", "clients that leave: their place is free", 200, 5000, serving.who_leaves, 4),
    Row("S6", "a text is the same alone and in a crowd", 208, 5008, serving.alone_and_in_a_crowd, 6),
    Row("S7", "clients that dawdle are cut off", 0, 20, serving.who_dawdles, 4),
    Row("S9", "a server that is asked to stop under load", 10, 100, serving.stopped_under_load, 3),
    Row("S10", "its files are taken away", 10, 200, serving.files_taken_away, 2),
    Row("S17", "a terminal is not steered", 40, 400, hostile.terminals, 2),
    Row("S19", "a fault at any token: no clean end", 10, 51, serving.broken_at_a_token, 1),
    Row("S20", "mixed traffic; memory does not grow", 0, 40_000, serving.mixed_traffic, 16),
    Row("S server", "hosts, origins, keys, names, fields, faults", 0, 1, SERVER, 3),
    Row("S browser", "hostile text in the page, in a real browser", 0, 1, BROWSER, 3),
    Row("C8", "a download is the expected bytes or refused", 0, 1, inputs.tests_named("tests/text/test_download.py"), 1),
]  # fmt: skip
BY_NAME = {row.name: row for row in ROWS}
