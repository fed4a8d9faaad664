"""inkwright serve"""

import logging
import os
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from inkwright import interrupt
from inkwright.app.cli.console import Output
from inkwright.app.cli.flags import STDIN
from inkwright.app.server.limits import Limits
from inkwright.errors import MachineError, TextError, UsageError, quoted

LOOPBACK_HOSTS = ("127.0.0.1", "::1", "localhost")


def serve(
    *folders: Path,
    host: str = "127.0.0.1",
    port: int = 8000,
    api_key_file: Path | None = None,
    api_key: str | None = None,
    allow_host: tuple[str, ...] = (),
    strict: bool = False,
    quiet: bool = False,
    flags: Annotated[Any, Parameter(name="*")] = None,
) -> int:
    """Let models write for a page and for OpenAI's clients.

    Ctrl-C stops: what is being written is finished first, a second one leaves at once.

    Parameters
    ----------
    folders
        Runs (the best checkpoint of each), checkpoints, or Hugging Face folders.
    host
        Where to listen; anything but this machine itself needs a key.
    port
        0 picks a free one.
    api_key_file
        A file with the key that every request must carry.
    api_key
        The same, visible to everybody on this machine.
    allow_host
        Another name under which the server may be asked; may be given several times.
    strict
        Refuse when a checkpoint is damaged, instead of using another.
    quiet
        No line for each request.
    """
    out = Output(as_json=True)  # stdout stays empty
    if not folders:
        raise UsageError("which run? inkwright serve runs/NAME", "inkwright train begins one")
    if not 0 <= port <= 65535:
        raise UsageError(f"--port must be 0 to 65535 (got {port})")
    key = read_key(api_key_file, api_key, out)
    if key is None and host not in LOOPBACK_HOSTS:
        where = "all addresses" if host in ("0.0.0.0", "::", "") else quoted(host)
        raise UsageError(f"listening on {where} needs an API key", "--api-key-file KEY, or --host 127.0.0.1")
    try:
        from inkwright.app.server.running import Service
    except ImportError as error:
        if error.name not in ("fastapi", "starlette", "uvicorn", "h11"):
            raise
        raise MachineError(
            f"serve needs {error.name}, which is not installed", "pip install 'inkwright[serve]'"
        ) from None

    from inkwright.app.cli.loading import load
    from inkwright.app.server.served import Served, Shelf, names_for

    models = [
        Served(name, folder, load(folder, out, strict))
        for name, folder in zip(names_for(folders), folders, strict=True)
    ]
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING)
    logging.getLogger("inkwright.serve").setLevel(logging.WARNING if quiet else logging.INFO)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    service = Service(Shelf(models), flags or Limits(), host, port, key, allow_host)
    with interrupt.listening():
        for served in models:
            out.row("model", f"{served.name}, {served.lm.model.parameter_count:,} parameters")
        out.row("page", service.address)
        out.row("API", f"{service.address}/v1 (Ctrl-C stops)")
        service.run()
    return 0


def read_key(path: Path | None, given: str | None, out: Output) -> str | None:
    """The key to ask for; None where none was set.

    Raises: UsageError, TextError
    """
    if path is not None and given is not None:
        raise UsageError("--api-key and --api-key-file are two ways to say one thing", "give the file")
    if given is not None:
        out.warn("the key is visible in the process list; use --api-key-file")
        key = given
    elif path is not None:
        try:
            with path.open("rb") as file:
                key = file.read(4097).decode().strip()
            if os.name == "posix" and path.stat().st_mode & 0o077:
                out.warn(f"others on this machine can read {quoted(path)}; chmod 600 closes it")
        except (OSError, UnicodeDecodeError) as error:
            why = (getattr(error, "strerror", None) or "it is not text").lower()
            raise TextError(f"the key file {quoted(path)} cannot be read: {why}") from None
    else:
        return None
    if not 0 < len(key) <= 4096 or not key.isascii() or not key.isprintable() or " " in key or key == STDIN:
        raise UsageError("an API key is 1 to 4096 printable characters of ASCII without spaces", "openssl rand -hex 32")
    return key


serve.__annotations__["flags"] = Annotated[Limits, Parameter(name="*")]
