"""The paper's findings, each held against the numbers, with no choice left to the writer.

A claim is a list of comparisons, "this variant has more (or less) of a measure than that
one". It is reproduced if all comparisons hold, with every seed there is; not reproduced
if none does; else partly. How large a difference is stands beside it, and how far two
seeds of one variant are apart, so that a reader can see what chance alone does.
"""

from __future__ import annotations

import dataclasses

# variant -> seed -> measure -> value.
Measures = dict[str, dict[int, dict[str, float]]]

FCN_SCORE = ("per_pixel_accuracy", "per_class_accuracy", "class_iou")


@dataclasses.dataclass(frozen=True)
class Comparison:
    """That `more` has more of each measure than `less`; both are variants."""

    more: str
    less: str
    measures: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Claim:
    """A finding of the paper.

    Attributes:
        text: The finding, in words.
        source: Where the paper has it.
        comparisons: What it means in numbers.
    """

    text: str
    source: str
    comparisons: tuple[Comparison, ...]


CLAIMS = (
    Claim(
        "L1+cGAN scores above L1 alone and above GAN alone (headline)",
        "section 4.2, table 1",
        (Comparison("l1_cgan", "l1", FCN_SCORE), Comparison("l1_cgan", "gan", FCN_SCORE)),
    ),
    Claim(
        "The U-Net scores above the encoder-decoder, with L1 and with L1+cGAN (headline)",
        "section 4.3, table 2",
        (
            Comparison("l1", "encoder_decoder_l1", FCN_SCORE),
            Comparison("l1_cgan", "encoder_decoder_l1_cgan", FCN_SCORE),
        ),
    ),
    Claim(
        "A receptive field of 70x70 scores above 1x1, 16x16 and 286x286",
        "section 4.4, table 3",
        tuple(Comparison("l1_cgan", f"receptive_field_{size}", FCN_SCORE) for size in (1, 16, 286)),
    ),
    Claim(
        "L1 alone is blurrier than L1+cGAN",
        "section 4.2, figure 4",
        (Comparison("l1_cgan", "l1", ("sharpness",)),),
    ),
    Claim(
        "GAN alone collapses: outputs of different inputs are more alike than with L1+cGAN and "
        "with cGAN",
        "section 4.2",
        (
            Comparison("l1_cgan", "gan", ("across_inputs_l1",)),
            Comparison("cgan", "gan", ("across_inputs_l1",)),
        ),
    ),
    Claim(
        "cGAN brings back colour that L1 alone loses",
        "section 4.2, figure 7",
        (Comparison("l1_cgan", "l1", ("colour_a", "colour_b")),),
    ),
)


def judge(claim: Claim, measures: Measures) -> dict | None:
    """Returns the verdict on a claim, with every comparison.

    None if one of its variants was not run, or one of its measures not taken: on a part
    of the comparisons there is no verdict.
    """
    found = []
    for comparison in claim.comparisons:
        of_more, of_less = (measures.get(x, {}) for x in (comparison.more, comparison.less))
        seeds = sorted(of_more.keys() & of_less.keys())
        if not seeds:
            return None
        for seed in seeds:
            for measure in comparison.measures:
                if measure not in of_more[seed] or measure not in of_less[seed]:
                    return None
                more, less = of_more[seed][measure], of_less[seed][measure]
                found.append(
                    dict(
                        more=comparison.more,
                        less=comparison.less,
                        seed=seed,
                        measure=measure,
                        values=[more, less],
                        holds=more > less,
                    )
                )
    num_holding = sum(one["holds"] for one in found)
    verdict = "partly reproduced"
    if num_holding in (0, len(found)):
        verdict = "reproduced" if num_holding else "not reproduced"
    return dict(
        claim=claim.text,
        source=claim.source,
        verdict=verdict,
        num_holding=num_holding,
        num_comparisons=len(found),
        comparisons=found,
    )


def seed_distances(measures: Measures) -> dict[str, float]:
    """Returns, per measure, the largest distance between two seeds of one variant.

    Empty if no variant was run with two seeds.
    """
    largest: dict[str, float] = {}
    for by_seed in measures.values():
        if len(by_seed) < 2:
            continue
        for measure in set.intersection(*(set(one) for one in by_seed.values())):
            values = [one[measure] for one in by_seed.values()]
            distance = max(values) - min(values)
            largest[measure] = max(distance, largest.get(measure, 0.0))
    return largest
