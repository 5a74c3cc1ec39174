r"""Measures a TensorFlow Serving server: throughput, latencies, errors by kind.

    python -m export.tf_serving.load_test --address=localhost:8500 --input=labels.png \
        --requests=2000 --clients=8 --json=load.json

Each client is a thread with a connection of its own, which sends the image as a
file to the signature `encoded`, waits for the answer and sends it again. Nothing is
sent twice: an error is counted, not mended. Exit status: 0 if every request was
answered by a picture, 1 if not, 2 if the test could not start.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import math
import pathlib
import threading
import time

from absl import flags

from export.tf_serving import client, protocols
from pix2pix_tf import commands, files
from pix2pix_tf.errors import InputError, MissingInputError

EXIT_ERRORS = 1
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclasses.dataclass(frozen=True)
class Report:
    """What a load test found.

    Attributes:
        requests: How many were to be sent.
        clients: How many sent them.
        answered: By a picture.
        errors: How many there were of each kind.
        lost: Requests of which neither an answer nor an error is known.
        seconds: From the first request to the last answer.
        throughput: Pictures a second.
        latency_ms: Milliseconds by percentile, of the answered ones; empty if
            there are none.
    """

    requests: int
    clients: int
    answered: int
    errors: dict[str, int]
    lost: int
    seconds: float
    throughput: float
    latency_ms: dict[str, float]


def run(
    address: str, contents: bytes, *, requests: int, clients: int, model: str, timeout: float
) -> Report:
    """Sends `contents` `requests` times from `clients` threads.

    Args:
        address: See `client.Client`.
        contents: An image file.
        requests: How many, over all clients.
        clients: How many at the same time.
        model: The name it is served under.
        timeout: Seconds for each request.

    Raises:
        InputError: If the address is none, or gRPC is not installed.
        ServingError: If not even a first request, not counted, is answered.
    """
    # The server prepares the graph at the first request; a client that has to wait for it
    # to start is no measurement either.
    with client.Client(address, model=model, timeout=timeout) as first:
        first.translate_files([contents])
    numbers = iter(range(requests))
    taking = threading.Lock()
    outcomes: list[list[tuple[str, float]]] = [[] for _ in range(clients)]

    def work(outcome: list[tuple[str, float]]) -> None:
        with client.Client(address, model=model, timeout=timeout, attempts=1) as connection:
            while True:
                with taking:
                    if next(numbers, None) is None:
                        return
                start = time.perf_counter()
                kind = _send(connection, contents)
                outcome.append((kind, time.perf_counter() - start))

    threads = [threading.Thread(target=work, args=(outcome,)) for outcome in outcomes]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    return summarize(sum(outcomes, []), requests=requests, clients=clients, seconds=seconds)


def _send(connection: client.Client, contents: bytes) -> str:
    """Sends one request; returns "" if a picture came, else the kind of error."""
    try:
        pictures = connection.translate_files([contents])
    except protocols.ServingError as error:
        return error.code
    if len(pictures) != 1 or not pictures[0].startswith(_PNG):
        return "NOT_A_PICTURE"
    return ""


def summarize(
    outcomes: list[tuple[str, float]], *, requests: int, clients: int, seconds: float
) -> Report:
    """Returns the report.

    Args:
        outcomes: Of each request the kind of error, "" for none, and the seconds it took.
        requests: How many there were to be.
        clients: How many sent them.
        seconds: From the first request to the last answer.
    """
    errors = collections.Counter(kind for kind, _ in outcomes if kind)
    latencies = sorted(latency for kind, latency in outcomes if not kind)
    return Report(
        requests=requests,
        clients=clients,
        answered=len(latencies),
        errors=dict(sorted(errors.items())),
        lost=requests - len(outcomes),
        seconds=seconds,
        throughput=len(latencies) / seconds,
        latency_ms={
            f"p{percent}": 1000 * latencies[math.ceil(percent / 100 * len(latencies)) - 1]
            for percent in (50, 95, 99)
            if latencies
        },
    )


def format_report(report: Report) -> str:
    """Returns the report as lines for a person."""
    latency = ", ".join(f"{name} {value:.1f} ms" for name, value in report.latency_ms.items())
    errors = ", ".join(f"{kind} {count}" for kind, count in report.errors.items())
    return (
        f"{report.requests} requests from {report.clients} clients in {report.seconds:.1f} s\n"
        f"throughput: {report.throughput:.1f} pictures/s\n"
        f"latency: {latency or 'no picture came'}\n"
        f"answered: {report.answered}, lost: {report.lost}, errors: {errors or 'none'}"
    )


def define_flags() -> None:
    """Defines the flags of this command."""
    flags.DEFINE_string(
        "address", None, "host:port for gRPC, http://host:port for REST.", required=True
    )
    flags.DEFINE_string("input", None, "The image to send, PNG or JPEG.", required=True)
    flags.DEFINE_integer("requests", 2000, "How many, over all clients.", lower_bound=1)
    flags.DEFINE_integer("clients", 8, "How many at the same time.", lower_bound=1)
    flags.DEFINE_string("model", client.MODEL, "The name that the model is served under.")
    flags.DEFINE_float("timeout", 60.0, "Seconds for each request.", lower_bound=0.001)
    flags.DEFINE_string("json", None, "File for the report as JSON.")


def main(unused_arguments: list[str]) -> int:
    """Measures as the flags say; returns the exit status."""
    options = flags.FLAGS
    path = pathlib.Path(options.input)
    if not path.is_file():
        raise MissingInputError(f"There is no file '{path}'. Pass an image.")
    if options.json:
        files.make_output_folder(pathlib.Path(options.json).parent)
    try:
        report = run(
            options.address,
            path.read_bytes(),
            requests=options.requests,
            clients=options.clients,
            model=options.model,
            timeout=options.timeout,
        )
    except protocols.ServingError as error:
        raise InputError(client.explain(options.address, error)) from None
    print(format_report(report))
    if options.json:
        contents = json.dumps(dataclasses.asdict(report), indent=2).encode()
        files.write_atomically(pathlib.Path(options.json), contents)
    return 0 if report.answered == report.requests else EXIT_ERRORS


if __name__ == "__main__":
    define_flags()
    commands.run(main)
