"""`modescope play` on the command line: the game's page, served, and what a person won on it, filed."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated

import typer

from modescope.errors import UserError


def play(
    port: Annotated[int, typer.Option(help="Port to listen on", min=1, max=65535)] = 8080,
    host: Annotated[str, typer.Option(help="0.0.0.0 lets everybody in your network play")] = "127.0.0.1",
    file: Annotated[Path | None, typer.Option(help="A result that the page saved: file it in MLflow instead")] = None,
    name: Annotated[str | None, typer.Option(help="What that run is called [default: as the file]")] = None,
) -> None:
    """Draw against a generator: serve the game's page, which also works as a file, or --file a result of it."""
    if file is None:
        from modescope.config import results_folder

        return serve(results_folder(Path()) / "reports", port, host)
    from modescope.scoring.drawn import file_game

    run, won = file_game(file, name or file.stem)
    print(
        f"{run}: {won['won']} of {won['rounds']} rounds won, mean margin {won['margin']:+.2f}; `modescope ui` shows it"
    )


def serve(reports: Path, port: int, host: str) -> None:
    """Serve a folder of pages until interrupted. Raises UserError for a game that is not there, or a port taken."""
    from modescope.report.page import GAME

    page = reports / GAME[1]
    if not page.exists():
        raise UserError(f"{page} is missing: `dvc repro game` makes it")
    try:
        server = ThreadingHTTPServer((host, port), partial(Quiet, directory=reports))
    except OSError as error:
        raise UserError(f"--host {host} --port {port} is refused ({error.strerror}): choose another port") from None
    with server:
        print(f"The game is at http://{host}:{server.server_port}/{page.name} (Ctrl-C ends it)", flush=True)
        print(f"The file {page} needs no server.", flush=True)
        server.serve_forever()


class Quiet(SimpleHTTPRequestHandler):
    """Files of a folder, without a line for each."""

    def log_message(self, *_: object) -> None:
        pass
