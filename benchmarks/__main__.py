r"""Runs the benchmarks that compare this project with its peers, and writes their page.

    python -m benchmarks --output=docs/benchmarks.md \
        --pythons=.venv/bin/python,.venv-current/bin/python --torch_python=PATH

Takes some 30 minutes on two cores, on which nothing else should compute. Beside the page,
`benchmarks.json` has the numbers. A contender that fails is reported in its row.
"""

from __future__ import annotations

import pathlib

from absl import flags

from benchmarks import inference, results, train_step
from pix2pix_tf import commands, files
from pix2pix_tf.errors import InputError

SECTIONS = {
    "Training step": train_step,
    "Translation": inference,
}


def define_flags() -> None:
    """Defines the flags of this command."""
    results.define_flags()
    flags.DEFINE_string(
        "output", "docs/benchmarks.md", "The page (Markdown); its JSON goes beside it."
    )
    flags.adopt_module_key_flags(results)


def main(unused_arguments: list[str]) -> None:
    """Runs the benchmarks and writes the page."""
    output = pathlib.Path(flags.FLAGS.output)
    if output.suffix != ".md":
        raise InputError(f"--output is '{output}'. Name a file that ends in .md.")
    settings = results.settings_from_flags()
    files.make_output_folder(output.parent)
    measured = {}
    for title, module in SECTIONS.items():
        measured[title] = module.measure(**settings)
        # After each: what is measured is not lost if a later one fails.
        results.write(measured, str(output.with_suffix(".json")))
        files.write_atomically(output, write_page(measured).encode())
    print(f"{write_page(measured)}\nWrote '{output}' and '{output.with_suffix('.json')}'.")


def write_page(measured: dict) -> str:
    """Returns the page as Markdown.

    Args:
        measured: The result of each benchmark by its title.
    """
    parts = [
        "# Benchmarks",
        "Written by `make bench`; not to be edited. Times are medians over turns that the "
        "contenders took, with the quartiles in brackets; GB is the peak of resident memory. "
        "[BUILD.md](../BUILD.md#benchmarks) says how it is measured.",
    ]
    for title, result in measured.items():
        parts += [f"## {title}", _conditions(result), SECTIONS[title].table(result)]
    return "\n\n".join(parts) + "\n"


def _conditions(result: dict) -> str:
    """Returns a paragraph: machine, versions, commit and date."""
    described = result["machine"]
    versions = {
        f"{name} {version}"
        for group in result["groups"]
        for item in group["contenders"]
        if "error" not in item
        for name, version in item["facts"]["versions"].items()
    }
    return (
        f"{described['processor']} ({', '.join(described['instructions'])}), "
        f"{described['cores']} cores, {described['memory_gigabytes']:.0f} GB, "
        f"{described['system']}; {', '.join(sorted(versions))}. Commit {described['commit']}, "
        f"{described['date']}; load of the machine before: {described['load_before']:.1f}."
    )


if __name__ == "__main__":
    define_flags()
    commands.run(main)
