r"""Times the translation of one image: the SavedModel against the tutorial's generator.

    python -m benchmarks.inference --json=inference.json \
        --pythons=.venv/bin/python,.venv-current/bin/python

The SavedModel answers through `serving_default`. The tutorial calls
`generator(x, training=True)` in float32, as written there; also shown is the same call
compiled by `tf.function`, which the tutorial does not do.
"""

from __future__ import annotations

import pathlib
import tempfile
from typing import Any

import numpy as np
from absl import flags

from benchmarks import interpreters, results, rounds
from benchmarks.contenders import Work, timed
from pix2pix_tf import commands, run_folder

_CONTENDERS = ("SavedModel", "tutorial", "tutorial, compiled")


def define_flags() -> None:
    """Defines the flags of this command."""
    interpreters.define_pythons_flag()
    results.define_json_flag()
    flags.DEFINE_string(
        "saved_model",
        "",
        "Exported model of square colour images. Empty: one with untrained weights is made.",
    )
    flags.DEFINE_integer("crop_size", 256, "Pixels of the image; the paper's are 256.")
    flags.DEFINE_integer("base_filters", 64, "Of the generator; the paper's are 64.")
    flags.DEFINE_integer("num_rounds", 5, "Turns of each contender.", lower_bound=1)
    flags.DEFINE_integer("num_images", 20, "Images timed in a turn, after two that are not.")
    for module in (interpreters, results):
        flags.adopt_module_key_flags(module)


def main(unused_arguments: list[str]) -> None:
    """Measures, prints the tables and writes the JSON."""
    options = flags.FLAGS
    result = measure(
        interpreters.find_pythons(options.pythons),
        saved_model=options.saved_model,
        crop_size=options.crop_size,
        base_filters=options.base_filters,
        num_rounds=options.num_rounds,
        num_images=options.num_images,
    )
    print(table(result))
    results.write(result, options.json)


def measure(
    pythons: dict[str, str],
    *,
    saved_model: str = "",
    crop_size: int = 256,
    base_filters: int = 64,
    num_rounds: int = 5,
    num_images: int = 20,
) -> dict[str, Any]:
    """Returns the times of all contenders.

    Args:
        pythons: Interpreters with TensorFlow, by the name of their stack.
        saved_model: An exported model; empty to make one, in each stack its own.
        crop_size: Pixels.
        base_filters: Of the tutorial's generator, and of the model made here.
        num_rounds: Turns of each contender.
        num_images: Images timed in a turn.
    """
    settings = dict(
        crop_size=crop_size,
        base_filters=base_filters,
        saved_model=str(pathlib.Path(saved_model).resolve()) if saved_model else "",
    )
    makers = ("saved_model", "tutorial", "tutorial")
    groups = []
    for stack, python in pythons.items():
        rounds.say(f"Translation of one image, {stack}:")
        contenders = [
            dict(
                name=name,
                python=python,
                make=f"benchmarks.inference:{maker}",
                settings=dict(settings, is_compiled=name == "tutorial, compiled"),
            )
            for name, maker in zip(_CONTENDERS, makers)
        ]
        measured = rounds.alternate(
            contenders, num_rounds=num_rounds, count=num_images, num_warmup=2
        )
        groups.append(dict(stack=stack, contenders=measured, ratios=ratios(measured)))
    return dict(benchmark="inference", num_rounds=num_rounds, num_images=num_images, groups=groups)


def ratios(contenders: list[dict]) -> dict[str, float]:
    """Returns how many times as long as the SavedModel each peer takes, by name and percentile."""
    times = {item["name"]: item["seconds"] for item in contenders if "error" not in item}
    ours = times.pop(_CONTENDERS[0], None)
    if ours is None:
        return {}
    return {
        f"{name}, {label}": summary[key] / ours[key]
        for name, summary in times.items()
        for label, key in (("p50", "median"), ("p95", "p95"))
    }


def saved_model(settings: dict) -> tuple[Work, dict]:
    """Makes the exported model's translation of one image."""
    import tensorflow as tf

    from pix2pix_tf import networks, serving
    from pix2pix_tf.config import TrainConfig
    from pix2pix_tf.inference import exported

    with tempfile.TemporaryDirectory() as folder:
        path = settings["saved_model"]
        if not path:
            run, path = pathlib.Path(folder) / "run", pathlib.Path(folder) / "exported"
            run.mkdir()
            config = TrainConfig(
                crop_size=settings["crop_size"], base_filters=settings["base_filters"]
            )
            config.save(run)
            weights = run / run_folder.GENERATOR_WEIGHTS
            networks.build_generator(config).save_weights(str(weights))
            serving.save_version(run, path)
        model = exported.load(path)
    image = _image(settings)
    return timed(lambda: model.translate(image)), dict(versions=dict(tensorflow=tf.__version__))


def tutorial(settings: dict) -> tuple[Work, dict]:
    """Makes the tutorial's call of its generator, `is_compiled` or not."""
    import tensorflow as tf

    from benchmarks import tutorial_recipe

    generator = tutorial_recipe.build_generator(
        crop_size=settings["crop_size"], base_filters=settings["base_filters"]
    )

    def call(image):
        return generator(image, training=True)

    translate = tf.function(call) if settings["is_compiled"] else call
    image = tf.constant(_image(settings))
    return timed(lambda: translate(image).numpy()), dict(versions=dict(tensorflow=tf.__version__))


def _image(settings: dict) -> np.ndarray:
    size = settings["crop_size"]
    return np.random.RandomState(0).uniform(-1, 1, [1, size, size, 3]).astype(np.float32)


def table(result: dict) -> str:
    """Returns the results as Markdown."""
    parts = []
    for group in result["groups"]:
        rows = []
        for item in group["contenders"]:
            if "error" in item:
                rows.append([item["name"], f"failed: {item['error']}", "", ""])
                continue
            seconds = item["seconds"]
            rows.append(
                [
                    item["name"],
                    *(results.number(1e3 * seconds[key], 1) for key in ("median", "p95")),
                    results.number(item["peak_resident_gigabytes"], 2),
                ]
            )
        parts.append(f"**One image, {group['stack']}**")
        parts.append(results.markdown_table(["contender", "p50, ms", "p95, ms", "GB"], rows))
        multiples = [f"{name} {value:.2f}x" for name, value in group["ratios"].items()]
        if multiples:
            parts.append(f"Time of the peers over that of the SavedModel: {'; '.join(multiples)}.")
    return "\n\n".join(parts)


if __name__ == "__main__":
    define_flags()
    commands.run(main)
