r"""Runs all benchmarks and writes the page of their results.

    python -m benchmarks --output=docs/benchmarks.md \
        --pythons=.venv/bin/python,.venv-current/bin/python --torch_python=PATH

Takes some 40 minutes on two cores, on which nothing else should compute. Beside the
page, `benchmarks.json` has all numbers. A benchmark that fails is reported on the page
and does not stop the others; the exit status is then 1. `--only="Input pipeline"` runs
that one again and keeps the others of the page; each is told with its commit.
"""

from __future__ import annotations

import json
import pathlib
import traceback
from collections.abc import Callable

from absl import flags

from benchmarks import (
    agreement,
    convolutions,
    inference,
    input_pipeline,
    interpreters,
    machine,
    memory,
    operations,
    results,
    rounds,
    scaling,
    startup,
    train_step,
)
from pix2pix_tf import commands, files
from pix2pix_tf.errors import InputError

EXIT_FAILED = 1


def define_flags() -> None:
    """Defines the flags of this command."""
    interpreters.define_pythons_flag()
    interpreters.define_torch_flag()
    flags.DEFINE_string(
        "output", "docs/benchmarks.md", "The page (Markdown); its JSON goes beside it."
    )
    flags.DEFINE_integer("crop_size", 256, "Pixels; the paper's are 256.")
    flags.DEFINE_integer("base_filters", 64, "Of all networks; the paper's are 64.")
    flags.DEFINE_string("dataset", "demo", "Of the agreement of losses; as of pix2pix_tf.train.")
    flags.DEFINE_string("direction", "AtoB", "Of the same.")
    flags.DEFINE_list("only", [], "Benchmarks to run again, by title; the others are kept.")
    flags.DEFINE_integer("num_rounds", 0, "Turns of each contender. 0: each benchmark's own.")
    flags.adopt_module_key_flags(interpreters)


def main(unused_arguments: list[str]) -> int:
    """Runs all benchmarks and writes the page; returns the exit status."""
    options = flags.FLAGS
    output = pathlib.Path(options.output)
    if output.suffix != ".md":
        raise InputError(f"--output is '{output}'. Name a file that ends in .md.")
    pythons = interpreters.find_pythons(options.pythons)
    torch_python = interpreters.find_torch(options.torch_python)
    first = dict([next(iter(pythons.items()))])  # Of two workers, one stack tells enough.
    described = machine.describe()  # Before the measurements load the machine.
    sizes = dict(crop_size=options.crop_size, base_filters=options.base_filters)
    turns = dict(num_rounds=options.num_rounds) if options.num_rounds else {}
    size = dict(crop_size=options.crop_size)
    sections = {
        "Training step": (
            train_step,
            lambda: train_step.measure(pythons, torch_python, batch_sizes=[1, 4], **sizes, **turns),
        ),
        "Operations of a step": (operations, lambda: operations.measure(pythons, **sizes)),
        "Translation": (inference, lambda: inference.measure(pythons, **sizes, **turns)),
        "Input pipeline": (
            input_pipeline,
            lambda: input_pipeline.measure(pythons, **size, **turns),
        ),
        "Start of training": (
            startup,
            lambda: startup.measure(pythons, torch_python, **sizes, **turns),
        ),
        "Two workers": (scaling, lambda: scaling.measure(first, **sizes, **turns)),
        "Convolutions": (convolutions, lambda: convolutions.measure(pythons)),
        "Memory": (
            memory,
            lambda: memory.measure(
                first, crop_size=2 * options.crop_size, base_filters=options.base_filters
            ),
        ),
        "Agreement": (
            agreement,
            lambda: agreement.measure(
                dict(
                    dataset=options.dataset,
                    direction=options.direction,
                    num_steps=200,
                    precision="float32",
                    **sizes,
                )
            ),
        ),
    }
    files.make_output_folder(output.parent)
    _check_titles(options.only, list(sections))
    measured = _read_kept(output.with_suffix(".json"), described, sizes) if options.only else {}
    for title in options.only or sections:
        _, measure = sections[title]
        measured[title] = dict(
            _measure(measure), **{key: described[key] for key in ("commit", "date", "load_before")}
        )
        # After each: what is measured is not lost with what fails later.
        results.write(
            dict(machine=described, sizes=sizes, results=measured), output.with_suffix(".json")
        )
    measured = {title: measured[title] for title in sections if title in measured}  # Order.
    tables = {
        title: sections[title][0].table(result)
        for title, result in measured.items()
        if "error" not in result
    }
    page = write_page(described, sizes, measured, tables)
    files.write_atomically(output, page.encode())
    print(page)
    print(f"Wrote '{output}' and '{output.with_suffix('.json')}'.")
    return EXIT_FAILED if len(tables) < len(measured) else 0


def _check_titles(titles: list[str], known: list[str]) -> None:
    for title in titles:
        if title not in known:
            raise InputError(f"--only is '{title}'. Known are: {', '.join(known)}.")


def _read_kept(path: pathlib.Path, described: dict, sizes: dict) -> dict:
    """Returns the results by title that an earlier run has written.

    Raises:
        InputError: If there are none, or of another machine or other sizes.
    """
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"'{path}', which --only would go on from: {error}") from None
    for key in ("processor", "cores"):
        if earlier["machine"][key] != described[key]:
            raise InputError(f"'{path}' is of another machine: {earlier['machine'][key]}.")
    if earlier["sizes"] != sizes:
        raise InputError(f"'{path}' is of other sizes: {earlier['sizes']}.")
    return earlier["results"]


def _measure(measure: Callable[[], dict]) -> dict:
    """Returns the result of a benchmark, or what went wrong."""
    try:
        return measure()
    except Exception as error:  # Reported on the page, whatever it is.
        rounds.say(traceback.format_exc())
        return dict(error=f"{type(error).__name__}: {error}")


def write_page(described: dict, sizes: dict, measured: dict, tables: dict[str, str]) -> str:
    """Returns the page as Markdown.

    Args:
        described: From `machine.describe`.
        sizes: `crop_size` and `base_filters`.
        measured: The result of each benchmark by its title; of a failed one, `error`.
        tables: Its tables, of those that did not fail.
    """
    versions = find_versions(measured)
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`; not to be edited. Times are medians over turns that the "
        "contenders took, with the quartiles in brackets; GB is the peak of resident memory. "
        "[BUILD.md](../BUILD.md#benchmarks) says how it is measured.",
        "",
        f"- Machine: {described['processor']} ({', '.join(described['instructions'])}), "
        f"{described['cores']} cores, {described['memory_gigabytes']:.0f} GB, "
        f"{described['system']}.",
        f"- Versions: {', '.join(f'{name} {x}' for name, x in versions)}.",
        f"- Images of {sizes['crop_size']} pixels, {sizes['base_filters']} base filters.",
    ]
    for title, result in measured.items():
        lines += ["", f"## {title}", ""]
        lines += [
            f"Commit {result['commit']}, {result['date']}; load of the machine before: "
            f"{result['load_before']:.1f}.",
            "",
        ]
        lines.append(tables.get(title) or f"Failed: {result['error']}")
        if title == "Training step" and result.get("trials"):
            lines += ["", "Settings that the peers were tried with:", ""]
            lines.append(train_step.trials_table(result["trials"]))
        if title == "Input pipeline":
            lines += ["", surplus(measured)]
    return "\n".join(lines) + "\n"


def find_versions(found: object) -> list[tuple[str, str]]:
    """Returns (package, version) of all that the contenders report, sorted."""
    if isinstance(found, dict):
        own = list(found.get("versions", {}).items())
        children = found.values()
    else:
        own, children = [], found if isinstance(found, list) else []
    return sorted({*own, *(pair for child in children for pair in find_versions(child))})


def surplus(measured: dict) -> str:
    """Returns a sentence: how many times what training uses, the pipeline delivers."""

    def fastest(contenders) -> float | None:
        rates = [
            item["images_per_second"]
            for item in contenders
            if "error" not in item and item["name"].startswith("project")
        ]
        return max(rates, default=None)

    used = fastest(
        item
        for group in measured.get("Training step", {}).get("groups", [])
        for item in group["contenders"]
    )
    if not used:
        return "What training uses was not measured."
    texts = [
        f"{item['name']} ({group['stack']}) {item['images_per_second'] / used:.0f}x"
        for group in measured["Input pipeline"].get("groups", [])
        for item in group["contenders"]
        if "error" not in item
    ]
    return (
        f"The fastest training step above uses {used:.2f} images a second; delivered are, of "
        f"that: {', '.join(texts) or 'none'}."
    )


if __name__ == "__main__":
    define_flags()
    commands.run(main)
