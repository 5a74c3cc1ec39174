"""The paper's findings, each compared with the numbers, with no choice left to the writer.

A claim is a list of comparisons, "this variant has more of a measure than that one". With
every seed there is, a comparison holds, fails, or is undecided: the difference is no larger
than that between two seeds of the variants compared, so it may be chance. The verdict
follows from the counts, and every claim is listed, measured or not.
"""

from __future__ import annotations

import dataclasses
import itertools

# variant -> seed -> measure -> value.
Measures = dict[str, dict[int, dict[str, float]]]

FCN_SCORE = ("per_pixel_accuracy", "per_class_accuracy", "class_iou")
COLOUR = ("colour_a", "colour_b")
HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"

# Tables 1 and 3 of the paper: FCN-score of Cityscapes labels to photos, batch size 1.
PAPER = {
    "l1": (0.42, 0.15, 0.11),
    "gan": (0.22, 0.05, 0.01),
    "cgan": (0.57, 0.22, 0.16),
    "l1_gan": (0.64, 0.20, 0.15),
    "l1_cgan": (0.66, 0.23, 0.17),
    "receptive_field_1": (0.39, 0.15, 0.10),
    "receptive_field_16": (0.65, 0.21, 0.17),
    "receptive_field_286": (0.42, 0.16, 0.11),
}
PAPER_TRUTH = (0.80, 0.26, 0.21)
# From photos to labels, as recalled: the paper scores the outputs themselves.
PAPER_LABELS = {
    "l1": (0.86, 0.42, 0.35),
    "cgan": (0.74, 0.28, 0.22),
    "l1_cgan": (0.83, 0.36, 0.29),
}
# Table 2, batch size 10.
PAPER_GENERATORS = {
    "encoder_decoder_l1": (0.35, 0.12, 0.08),
    "encoder_decoder_l1_cgan": (0.29, 0.09, 0.05),
    "l1": (0.48, 0.18, 0.13),
    "l1_cgan": (0.55, 0.20, 0.14),
}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """That the variant `more` has more of each score in `measures` than the variant `less`."""

    more: str
    less: str
    measures: tuple[str, ...]
    may_tie: bool = False  # Whether as much is enough.


@dataclasses.dataclass(frozen=True)
class Claim:
    """A finding of the paper, where the paper has it, and what it means in numbers."""

    text: str
    source: str
    comparisons: tuple[Comparison, ...]
    note: str = ""  # What the numbers cannot tell.


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
        "A receptive field of 70x70 scores above 1x1 and 286x286, and not below 16x16",
        "section 4.4, table 3",
        (
            Comparison("l1_cgan", "receptive_field_1", FCN_SCORE),
            # The paper's two are equal in class IoU.
            Comparison("l1_cgan", "receptive_field_16", FCN_SCORE, may_tie=True),
            Comparison("l1_cgan", "receptive_field_286", FCN_SCORE),
        ),
    ),
    Claim("cGAN scores above GAN", "section 4.2, table 1", (Comparison("cgan", "gan", FCN_SCORE),)),
    Claim(
        "GAN alone collapses: its outputs of different inputs are more alike than those of cGAN "
        "and of L1+cGAN",
        "section 4.2",
        (
            Comparison("cgan", "gan", ("across_inputs_l1",)),
            Comparison("l1_cgan", "gan", ("across_inputs_l1",)),
        ),
        note="The mean L1 between outputs grows with contrast and noise too, so outputs of one "
        "style that differ in texture alone do not look alike to it.",
    ),
    Claim(
        "L1 alone is blurrier than L1+cGAN",
        "section 4.2, figure 4",
        (Comparison("l1_cgan", "l1", ("sharpness",)),),
        note="Fine detail may be a grid as well as a window frame: see the pictures.",
    ),
    Claim(
        "L1+cGAN and cGAN bring back colour that L1 alone loses",
        "section 4.2, figure 7",
        (Comparison("l1_cgan", "l1", COLOUR), Comparison("cgan", "l1", COLOUR)),
    ),
)

# Judged where the grid `labels` is asked for.
LABEL_CLAIMS = (
    Claim(
        "From photos to labels, L1 alone scores above L1+cGAN and above cGAN",
        "section 4.6",
        (Comparison("l1", "l1_cgan", FCN_SCORE), Comparison("l1", "cgan", FCN_SCORE)),
    ),
    Claim(
        "From photos to labels, L1+cGAN scores above cGAN",
        "section 4.6",
        (Comparison("l1_cgan", "cgan", FCN_SCORE),),
    ),
)


def judge(claim: Claim, measures: Measures) -> dict:
    """Returns the verdict on a claim, with every comparison.

    The verdict is "reproduced" if all comparisons hold, "not reproduced" if some fail
    and none holds, "undecided" if all are, "partly reproduced" otherwise; "not
    measured" if a variant was not run or a measure not taken: a part of the
    comparisons gives no verdict.
    """
    missing, found = [], []
    for comparison in claim.comparisons:
        by_seed = [measures.get(variant, {}) for variant in (comparison.more, comparison.less)]
        seeds = sorted(by_seed[0].keys() & by_seed[1].keys())
        if not seeds:
            missing.append(f"no seed of both {comparison.more} and {comparison.less}")
        for seed, measure in itertools.product(seeds, comparison.measures):
            values = [scores[seed].get(measure) for scores in by_seed]
            if None in values:
                missing.append(
                    f"no {measure} of {comparison.more} or {comparison.less}, seed {seed}"
                )
            else:
                found.append(_compare(comparison, seed, measure, values, measures))
    counts = {
        outcome: sum(one["outcome"] == outcome for one in found)
        for outcome in (HOLDS, FAILS, UNDECIDED)
    }
    if missing:
        verdict = "not measured"
    elif counts[HOLDS] == len(found):
        verdict = "reproduced"
    elif counts[HOLDS]:
        verdict = "partly reproduced"
    else:
        verdict = "not reproduced" if counts[FAILS] else UNDECIDED
    return dict(
        claim=claim.text,
        source=claim.source,
        note=claim.note,
        verdict=verdict,
        missing=missing,
        counts=counts,
        comparisons=[] if missing else found,
    )


def _compare(
    comparison: Comparison, seed: int, measure: str, values: list[float], measures: Measures
) -> dict:
    """Returns the outcome of a comparison by one measure, with what it follows from."""
    sides = {name: measures[name] for name in (comparison.more, comparison.less)}
    # If no side has two seeds, those of other variants show how far seeds alone move a measure.
    chance = seed_distances(sides).get(measure, seed_distances(measures).get(measure))
    more, less = values
    if comparison.may_tie and more >= less:
        outcome = HOLDS
    elif abs(more - less) <= (chance or 0.0):
        outcome = UNDECIDED
    else:
        outcome = HOLDS if more > less else FAILS
    return dict(
        more=comparison.more,
        less=comparison.less,
        may_tie=comparison.may_tie,
        seed=seed,
        measure=measure,
        values=values,
        chance=chance,
        outcome=outcome,
    )


def seed_distances(measures: Measures) -> dict[str, float]:
    """Returns, by measure, the largest distance between two seeds of one variant.

    Empty if no variant was run with two seeds.
    """
    largest: dict[str, float] = {}
    for by_seed in measures.values():
        for first, second in itertools.combinations(by_seed.values(), 2):
            for name in first.keys() & second.keys():
                largest[name] = max(largest.get(name, 0.0), abs(first[name] - second[name]))
    return largest
