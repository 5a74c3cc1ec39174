r"""Runs the benchmarks that compare this project with its peers, and writes their page.

    python -m benchmarks --output=docs/benchmarks.md \
        --pythons=.venv/bin/python,.venv-current/bin/python --torch_python=PATH

Takes some 30 minutes on two cores, on which nothing else should compute. Beside the page,
`benchmarks.json` has the numbers. A benchmark that fails is reported on the page and does not
stop the others; the exit status is then 1. `--only=Translation` runs that one again and
keeps the others of the page; each is told with its machine and commit.
"""

from __future__ import annotations

import json
import pathlib
import traceback

from absl import flags

from benchmarks import inference, machine, results, rounds, train_step
from pix2pix_tf import commands, files
from pix2pix_tf.errors import InputError

EXIT_FAILED = 1
SECTIONS = {
    "Training step": train_step,
    "Translation": inference,
}


def define_flags() -> None:
    """Defines the flags of this command."""
    results.define_flags(num_rounds=None)  # Each benchmark's own.
    flags.DEFINE_string(
        "output", "docs/benchmarks.md", "The page (Markdown); its JSON goes beside it."
    )
    flags.DEFINE_list("only", [], "Benchmarks to run again, by title; the others are kept.")
    flags.adopt_module_key_flags(results)


def main(unused_arguments: list[str]) -> int:
    """Runs the benchmarks and writes the page; returns the exit status."""
    options = flags.FLAGS
    output = pathlib.Path(options.output)
    if output.suffix != ".md":
        raise InputError(f"--output is '{output}'. Name a file that ends in .md.")
    for title in options.only:
        if title not in SECTIONS:
            raise InputError(f"--only is '{title}'. Known are: {', '.join(SECTIONS)}.")
    json_path = output.with_suffix(".json")
    measured = _read(json_path) if options.only else {}
    pythons = machine.find_pythons(options.pythons)
    torch_python = machine.find_torch(options.torch_python)
    settings = dict(
        crop_size=options.crop_size,
        base_filters=options.base_filters,
        without_onednn=options.without_onednn,
        **(dict(num_rounds=options.num_rounds) if options.num_rounds else {}),
    )
    files.make_output_folder(output.parent)
    for title in options.only or SECTIONS:
        try:
            measured[title] = SECTIONS[title].measure(pythons, torch_python, **settings)
        except Exception as error:  # Reported on the page, whatever it is.
            rounds.say(traceback.format_exc())
            measured[title] = dict(error=f"{type(error).__name__}: {error}")
        results.write(measured, json_path)  # What is measured is not lost with what fails later.
    page = write_page(measured)
    files.write_atomically(output, page.encode())
    print(f"{page}\nWrote '{output}' and '{json_path}'.")
    return EXIT_FAILED if any("error" in result for result in measured.values()) else 0


def _read(path: pathlib.Path) -> dict:
    """Returns the results by title that an earlier run has written."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"'{path}' cannot be read ({error}). --only needs the results of an earlier run."
        ) from None


def write_page(measured: dict) -> str:
    """Returns the page as Markdown.

    Args:
        measured: The result of each benchmark by its title; of a failed one, `error`.
    """
    parts = [
        "# Benchmarks",
        "Written by `make bench`; not to be edited. Times are medians over turns that the "
        "contenders took, with the quartiles in brackets; GB is the peak of resident memory. "
        "[BUILD.md](../BUILD.md#benchmarks) says how it is measured.",
    ]
    for title, module in SECTIONS.items():
        result = measured.get(title)
        if not result:
            continue
        parts.append(f"## {title}")
        if "error" in result:
            parts.append(f"Failed: {result['error']}")
        else:
            parts += [_conditions(result), module.table(result)]
    return "\n\n".join(parts) + "\n"


def _conditions(result: dict) -> str:
    """Returns a paragraph: machine, versions, commit and date."""
    described = result["machine"]
    items = [item for group in result["groups"] for item in group["contenders"]]
    versions = {
        f"{name} {version}"
        for item in items
        if "error" not in item
        for name, version in item["facts"]["versions"].items()
    }
    sizes = sorted({item["settings"]["crop_size"] for item in items})
    return (
        f"{described['processor']} ({', '.join(described['instructions'])}), "
        f"{described['cores']} cores, {described['memory_gigabytes']:.0f} GB, "
        f"{described['system']}; {', '.join(sorted(versions))}. Images of "
        f"{' and '.join(map(str, sizes))} pixels. Commit {described['commit']}, "
        f"{described['date']}; load of the machine before: {described['load_before']:.1f}."
    )


if __name__ == "__main__":
    define_flags()
    commands.run(main)
