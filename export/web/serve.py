r"""Serves a drawing page on this machine alone, and opens it in the browser.

    pix2pix export web.serve --site=site

Until Ctrl-C. Any other server of files does as well.
"""

from __future__ import annotations

import errno
import functools
import http.server
import pathlib
import sys
import threading
import webbrowser

from absl import flags

from pix2pix_tf import commands, files
from pix2pix_tf.errors import InputError, MissingInputError

DESCRIPTION = "site.json"  # What `assemble` writes last: all that the page knows of the model.
_USUAL_PORT = 8000


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string("site", None, "The --output of pix2pix export web.", required=True)
    flags.DEFINE_integer(
        "port",
        0,
        f"Port to serve at. 0: {_USUAL_PORT}, or a free one where that is taken.",
        lower_bound=0,
        upper_bound=65535,
    )
    flags.DEFINE_boolean("open", True, "Whether to open the page in the browser.")


def main(unused_arguments: list[str]) -> None:
    """Serves what the flags name."""
    options = flags.FLAGS
    with make_server(pathlib.Path(options.site), options.port) as server:
        url = f"http://localhost:{server.server_port}"
        print(f"The page is at {url}. Ctrl-C ends it.", flush=True)
        if options.open:
            # A browser of the terminal would hold up the server that it waits for.
            threading.Thread(target=webbrowser.open, args=[url], daemon=True).start()
        server.serve_forever()


def make_server(
    site: pathlib.Path, port: int = 0, *, threads: bool = True
) -> http.server.ThreadingHTTPServer:
    """Returns a server of a page, which this machine alone can reach.

    Args:
        site: The folder of the page.
        port: See `--port`.
        threads: Whether to send the headers by which browsers let a page have threads; most hosts
            of files do not.

    Raises:
        InputError: If there is no page, or the port is taken.
    """
    if not files.is_file(site / DESCRIPTION):
        raise MissingInputError(
            f"'{site}' is not a drawing page: it has no {DESCRIPTION}. Make one: pix2pix "
            f"export web --workdir=RUN --output={site}"
        )
    handler = functools.partial(_IsolatingHandler if threads else _Handler, directory=str(site))
    for tried in (port,) if port else (_USUAL_PORT, 0):
        try:
            return _Server(("localhost", tried), handler)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
    raise InputError(f"Port {port} cannot be served at. Name another, or leave --port out.")


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address) -> None:
        """Is silent where a page was closed before it had all that it asked for."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *unused_arguments) -> None:
        """Is silent: a page asks for a dozen files."""


class _IsolatingHandler(_Handler):
    def end_headers(self) -> None:
        """Says that no other site shares memory with the page, which may then have threads."""
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()


if __name__ == "__main__":
    define_flags()
    commands.run(main)
