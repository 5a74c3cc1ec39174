"""Tests of the perceptual study: how it is built, and sessions with it in headless Chromium."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess

import browser_tools
import command_line
import numpy as np
import tensorflow as tf
import tiny_runs
import tiny_training
from absl.testing import parameterized
from PIL import Image

from pix2pix_tf.data import images
from pix2pix_tf.evaluation.perceptual_study import __main__ as study_command
from pix2pix_tf.evaluation.perceptual_study import build, protocol, results

SIZE = tiny_runs.CROP_SIZE
_ALGORITHMS = ("bad", "good")
_FRAMES = ("first-frame", "second-frame")


def write_pictures(folder: pathlib.Path, names, *, seed: int, size=(SIZE, SIZE)) -> pathlib.Path:
    """Writes noise of (width, height) `size`; returns the folder."""
    random = np.random.RandomState(seed)
    folder.mkdir(parents=True)
    for name in names:
        pixels = random.randint(0, 256, [size[1], size[0], 3]).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def read_description(study: pathlib.Path) -> dict:
    """Returns what a study tells its page."""
    text = (study / "description.js").read_text(encoding="utf-8")
    return json.loads(re.fullmatch(r"'use strict';\nconst DESCRIPTION = (.*);\n", text, re.S)[1])


def read_picture(path: pathlib.Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


class SessionTest(tf.test.TestCase, parameterized.TestCase):
    """What a person sees and saves."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tiny_runs.temporary_folder(cls)
        # Of the last, Python cannot write the name as UTF-8; the files of answers need to be.
        names = [*(f"pair {number} \u00e9" for number in range(7)), os.fsdecode(b"pair 7 \xe9")]
        targets = write_pictures(cls.folder / "real", names, seed=0)
        outputs = {
            name: write_pictures(cls.folder / name, names, seed=seed)
            for seed, name in enumerate(_ALGORITHMS, start=1)
        }
        address = {}
        for name, setting in dict(
            long=dict(num_practice=2, exposure=0.25, notice="Ask <b>Ada</b>.\nRoom 1."),
            short=dict(exposure=0.2),
            broken=dict(num_trials=7),
        ).items():
            study = cls.folder / "studies" / name
            settings = protocol.Settings(**{"num_practice": 1, "num_trials": 2, **setting})
            build.build(outputs, study, targets=targets, settings=settings)
            address[name] = (study / "index.html").as_uri()
        next((cls.folder / "studies" / "broken" / "pictures").iterdir()).unlink()
        cls.description = read_description(cls.folder / "studies" / "long")
        # One from a file host, the others as files, which may do less.
        cls.host = browser_tools.serve(cls, cls.folder / "studies")
        address["short"] = f"{cls.host}short/"
        cls.report = browser_tools.run_session(
            "study_session.js", folder=str(cls.folder), **address
        )

    def session(self, name: str) -> dict:
        return json.loads((self.folder / name).read_text(encoding="utf-8"))["session"]

    def test_the_first_screen_says_what_one_agrees_to(self):
        intro = self.report["keyboard"]["intro"]
        for said in ("2 pairs to practise", "2 pairs without", "0.25 seconds", "stop at any time"):
            self.assertIn(said, intro)
        self.assertIn("Ask <b>Ada</b>.\nRoom 1.", intro)  # As text.
        tree = self.report["keyboard"]["tree"]  # As a screen reader has it.
        for expected in ("- banner", "- main", 'heading "What you will do"', "- status"):
            self.assertIn(expected, tree)
        self.assertIn('progressbar "Loading the pictures"', tree)

    def test_each_picture_is_seen_as_long_as_the_study_says_first_the_left(self):
        (planned,) = plan_sessions(self.description, [7], "good")
        expected, times = [], []
        for plan, trial in zip(planned["trials"], self.session("keyboard.json")["trials"]):
            # In practice the feedback shows both again.
            for shown in [trial["shown_ms"], [None, None]][: 1 + trial["practice"]]:
                expected += zip([f"pictures/{file}" for file in plan["files"]], _FRAMES)
                times += shown
            self.assertEqual(trial["interruptions"], 0)
        seen = self.report["keyboard"]["seen"]
        self.assertEqual([(view["file"], view["frame"]) for view in seen], expected)
        for view, milliseconds in zip(seen, times):
            self.assertEqual([view["pixels"], view["width"]], [SIZE, SIZE])
            if milliseconds is not None:
                # Frames, on a busy machine.
                self.assertAllClose(view["ms"], milliseconds, atol=150)
                self.assertBetween(milliseconds, 240, 1200)

    def test_practice_gives_feedback_and_the_rest_none(self):
        for word, feedback in zip(("Right", "Wrong"), self.report["keyboard"]["feedback"]):
            self.assertStartsWith(feedback["text"], f"{word}: the {feedback['fake']} picture")
            truth = ["fake", "real"] if feedback["fake"] == "first" else ["real", "fake"]
            self.assertEqual(feedback["captions"], [f"First: {truth[0]}", f"Second: {truth[1]}"])
            self.assertEqual(feedback["shown"], ["visible", "visible"])
        self.assertEqual(self.report["keyboard"]["captions"], ["First", "Second"])

    def test_the_file_holds_the_answers(self):
        session = self.session("keyboard.json")
        (planned,) = plan_sessions(self.description, [7], "good")
        for field in ("pair", "real", "fake", "practice"):
            self.assertEqual(*([trial[field] for trial in x["trials"]] for x in (session, planned)))
        fakes = self.report["keyboard"]["fakes"]
        self.assertEqual([x["fake"] for x in session["trials"]], fakes)
        is_right = [x["answer"] == x["fake"] for x in session["trials"]]
        self.assertEqual(is_right, [True, False, False, True])
        expected = dict(algorithm="good", seed=7, complete=True, exposure_ms=250)
        expected["study"] = self.description["study"]
        self.assertEqual({field: session[field] for field in expected}, expected)
        self.assertEqual(self.report["keyboard"]["name"], f"answers_{session['id'][:12]}.json")
        saved = (self.folder / "keyboard.json").read_text(encoding="utf-8")
        self.assertEqual(self.report["keyboard"]["text"], saved)  # To copy where nothing saves.

    def test_results_reads_the_saved_files(self):
        paths = [
            self.folder / f"{name}.json"
            for name in ("keyboard", "keyboard_again", "stopped", "interrupted")
        ]
        found = results.summarize(protocol.read_answers(paths))
        rates = {x["algorithm"]: (x["num_fooled"], x["num_trials"]) for x in found["algorithms"]}
        self.assertEqual(rates["good"], (1, 2))
        self.assertEqual(rates["bad"][1], 2)
        self.assertEqual(found["left_out"], [str(paths[2])])

    def test_everything_by_keyboard_with_the_focus_in_sight(self):
        focus = self.report["keyboard"]["focus"]
        ids = ["start", *["question-title"] * 4, focus[5]["expected"]]
        self.assertEqual([one["id"] for one in focus], ids)
        self.assertEqual({one["outline"] for one in focus}, {"solid 3px"})
        # A key that is pressed early and held does not answer.
        self.assertTrue(self.report["keyboard"]["isStillAsked"])

    def test_a_phone_has_nothing_to_scroll_in_a_trial(self):
        intro, trial = self.report["phone"]["overflow"]
        self.assertEqual((intro["sideways"], trial), (0, dict(sideways=0, down=0)))
        self.assertEqual(self.report["phone"]["end"], "You have stopped.")
        self.assertFalse(self.session("stopped.json")["complete"])

    def test_a_pair_that_was_not_shown_to_the_end_is_shown_again(self):
        moments = self.report["interruption"]
        self.assertFalse(moments["visibleBehind"])
        self.assertIn("shown again", moments["paused"])
        self.assertTrue(moments["isSamePair"])
        self.assertEqual(moments["warning"], "beforeunload")  # Left before the end.
        self.assertIn("the question is next", moments["pausedAtQuestion"])
        trials = self.session("interrupted.json")["trials"]
        # The second was paused before its first picture, and at the question: seen once.
        self.assertEqual([x["interruptions"] for x in trials], [1, 0, 0])
        for trial in trials:
            self.assertBetween(min(trial["shown_ms"]), 190, 1200)

    def test_says_why_a_session_cannot_start(self):
        for refusal, reason in zip(
            self.report["refusals"], (r"pictures/\d{5}\.png", "'none'", "'4294967296'")
        ):
            self.assertRegex(refusal["text"], reason)
            self.assertFalse(refusal["canStart"])

    def test_asks_nobody_for_anything(self):
        self.assertNotEmpty(self.report["requests"])
        for url in self.report["requests"]:
            self.assertStartsWith(url, (f"{self.folder.as_uri()}/", self.host, "data:", "blob:"))
        self.assertEqual(self.report["errors"], [])


def run_script(script: str):
    """Returns what JavaScript prints that has the page's session.js at its beginning."""
    process = subprocess.run(
        [browser_tools.node(), "-"],
        input=f"{(build.SITE / 'session.js').read_text()}\n{script}",
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(process.stdout)


def plan_sessions(description: dict, seeds, algorithm: str | None) -> list[dict]:
    """Returns the page's own plan of a session for each seed."""
    return run_script(
        f"const description = {json.dumps(description)}, algorithm = {json.dumps(algorithm)};\n"
        "const plan = (seed) => planSession(description, seed, algorithm);\n"
        f"console.log(JSON.stringify({json.dumps(list(seeds))}.map(plan)));"
    )


class PlanTest(tf.test.TestCase, parameterized.TestCase):
    """Orders of trials, by the page's own code in Node."""

    def plans(self, *, num_pairs: int, count: int, pairing: str) -> list[dict]:
        description = dict(
            num_practice=1,
            num_trials=count - 1,
            pairing=pairing,
            pairs=[dict(name=str(n), real=f"real {n}") for n in range(num_pairs)],
            algorithms=[
                dict(name=name, fakes=[f"{name} {n}" for n in range(num_pairs)])
                for name in _ALGORITHMS
            ],
        )
        return plan_sessions(description, range(400), None)

    @parameterized.parameters((6, 6), (9, 6))
    def test_every_pair_at_most_once_in_any_order_and_place(self, num_pairs, count):
        plans = self.plans(num_pairs=num_pairs, count=count, pairing="same")
        counts = np.zeros([num_pairs, count, 2])
        for one in plans:
            self.assertLen({trial["pair"] for trial in one["trials"]}, count)
            for number, trial in enumerate(one["trials"]):
                self.assertEqual(trial["real"], trial["pair"])
                fake, real = f"{one['algorithm']} {trial['pair']}", f"real {trial['real']}"
                is_first = trial["fake"] == "first"
                self.assertEqual(trial["files"], [fake, real] if is_first else [real, fake])
                self.assertEqual(trial["practice"], number == 0)
                counts[int(trial["pair"]), number, int(is_first)] += 1
        # Each pair is at each place of the order, and the fake on each side, equally often, up to
        # four standard deviations.
        expected = 400 / num_pairs / 2
        self.assertAllClose(counts, np.full_like(counts, expected), atol=4 * expected**0.5)
        self.assertBetween(sum(one["algorithm"] == "good" for one in plans), 160, 240)

    @parameterized.parameters((6, 6), (9, 6), (12, 6), (30, 6))
    def test_different_scenes(self, num_pairs, count):
        for one in self.plans(num_pairs=num_pairs, count=count, pairing="different"):
            fakes = [trial["pair"] for trial in one["trials"]]
            reals = [trial["real"] for trial in one["trials"]]
            self.assertEqual((len(set(fakes)), len(set(reals))), (count, count))
            for fake, real in zip(fakes, reals):
                self.assertNotEqual(fake, real)
            if num_pairs >= 2 * count:  # Enough for no scene to be seen twice.
                self.assertEmpty(set(fakes) & set(reals))

    def test_checksums_agree_with_pythons(self):
        texts = ["", "abc", "\u00e9 \u2028 \U0001f600", "x" * 1000]
        found = run_script(f"console.log(JSON.stringify({json.dumps(texts)}.map(checksum)));")
        expected = ["00000000", "352441c2"]  # Of CRC-32, as published.
        expected += [protocol.checksum(text) for text in texts[2:]]
        self.assertEqual(found, expected)


class BuildTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        self.output = self.folder / "study"

    def write(self, **sizes) -> None:
        """Writes real/ and the outputs of two algorithms, four pictures each."""
        for seed, name in enumerate(("real", *_ALGORITHMS)):
            size = sizes.get(name, (SIZE, SIZE))
            write_pictures(self.folder / name, map(str, range(4)), seed=seed, size=size)

    def run_command(self, *flags: str, algorithms=_ALGORITHMS) -> command_line.Result:
        return command_line.run(
            study_command,
            *(f"--algorithm={name}={self.folder / name}" for name in algorithms),
            f"--output={self.output}",
            "--num_practice=1",
            "--num_trials=2",
            *flags,
        )

    def build(self, *flags: str) -> dict:
        """Builds from --targets, unless given, and returns what the page is told."""
        result = self.run_command(f"--targets={self.folder / 'real'}", *flags)
        self.assertEqual(result.exit_code, 0, result.stderr)
        return read_description(self.output)

    def test_pictures_are_the_given_ones_and_nothing_tells_them_apart(self):
        self.write()
        # A real picture that is a JPEG with metadata, and fakes that compress far better.
        exif = Image.Exif()
        exif[0x010E] = "the real one"
        Image.open(self.folder / "real" / "0.png").save(
            self.folder / "real" / "0.jpg", exif=exif, comment=b"real"
        )
        (self.folder / "real" / "0.png").unlink()
        for path in (self.folder / "bad").iterdir():
            Image.new("RGB", (SIZE, SIZE), (9, 8, 7)).save(path)
        description = self.build()
        pictures = self.output / "pictures"
        files = sorted(pictures.iterdir())
        self.assertLen(files, 3 * 4)
        self.assertLen({path.stat().st_size for path in files}, 1)
        for path in files:
            self.assertRegex(path.name, r"^\d{5}\.png$")
            # Nothing but the pixels, as this program encodes them, and zeros.
            with Image.open(path) as picture:
                encoded = images.encode_image(np.asarray(picture.convert("RGB")), ".png")
            self.assertEqual(path.read_bytes().rstrip(b"\0"), encoded.rstrip(b"\0"))
        for number, pair in enumerate(description["pairs"]):
            self.assertEqual(pair["name"], str(number))
            (given,) = (self.folder / "real").glob(f"{number}.*")
            shown = read_picture(pictures / pair["real"]).astype(int)
            self.assertAllClose(shown, read_picture(given), atol=3 if number == 0 else 0)  # JPEG.
            for algorithm in description["algorithms"]:
                given = read_picture(self.folder / algorithm["name"] / f"{number}.png")
                self.assertAllEqual(read_picture(pictures / algorithm["fakes"][number]), given)
        # The numbers are in no order.
        reals = [pair["real"] for pair in description["pairs"]]
        self.assertNotEqual(reals, sorted(reals))

    def test_the_same_input_gives_the_same_study_and_other_input_another(self):
        self.write()
        first = self.build()
        again = self.output = self.folder / "again"
        self.assertEqual(self.build(), first)
        self.assertEqual(
            tiny_training.read_folder(again), tiny_training.read_folder(self.folder / "study")
        )
        studies = {first["study"]}
        for flag in ("--seed=1", "--num_trials=3", "--pairing=different"):
            self.output = self.folder / f"other {flag}"
            studies.add(self.build(flag)["study"])
        (self.folder / "bad").rename(self.folder / "other")
        (self.folder / "good").rename(self.folder / "bad")
        (self.folder / "other").rename(self.folder / "good")
        self.output = self.folder / "other pictures"
        studies.add(self.build()["study"])
        self.assertLen(studies, 5)

    def refuse(self, *flags: str, **arguments) -> str:
        """Returns the one line of a refusal; nothing is left behind."""
        before = sorted(self.folder.rglob("*"))
        result = self.run_command(*flags, **arguments)
        result.check_refused()
        self.assertEqual(sorted(self.folder.rglob("*")), before)
        return result.stderr

    @parameterized.parameters(
        (["--num_trials=4"], ["4 pairs", "5"]),
        (["--num_trials=0"], ["num_trials"]),
        (["--algorithm=good"], ["NAME=DIR"]),
        (["--algorithm=good=elsewhere"], ["each name once"]),
        (["--targets=elsewhere"], ["'elsewhere'"]),
    )
    def test_refuses_flags(self, flags, parts):
        self.write()
        text = self.refuse(f"--targets={self.folder / 'real'}", *flags)
        for part in parts:
            self.assertIn(part, text)

    def test_refuses_what_does_not_fit(self):
        self.write()
        targets = f"--targets={self.folder / 'real'}"
        self.assertIn("--algorithm", self.refuse(targets, algorithms=[]))
        self.assertIn("targets'", self.refuse())
        (self.folder / "good" / "0.png").write_bytes(b"no picture")
        self.assertIn(f"'{self.folder / 'good' / '0.png'}'", self.refuse(targets))
        (self.folder / "good" / "0.png").rename(self.folder / "good" / "stranger.png")
        self.assertRegex(self.refuse(targets), "'stranger', an output of 'good'")
        self.output.mkdir()
        self.assertIn(f"'{self.output}'", self.refuse(targets))

    def test_refuses_other_sizes(self):
        self.write(good=(48, SIZE))
        text = self.refuse(f"--targets={self.folder / 'real'}")
        self.assertIn("'0' by 'good' is 48x32 pixels and the real picture 32x32", text)

    def test_real_pictures_that_evaluate_wrote_have_to_be_the_same(self):
        # As facades has it: pictures of the same names in each split, so nothing else is wrong.
        for name, seed in (("bad", 0), ("good", 1)):
            for folder, own in (("outputs", 2 + seed), ("targets", seed)):
                write_pictures(self.folder / name / folder, map(str, range(4)), seed=own)
        self.assertRegex(self.refuse(), "'0' are not the same")
        for number in range(4):
            pixels = read_picture(self.folder / "bad" / "targets" / f"{number}.png")
            Image.fromarray(pixels).save(self.folder / "good" / "targets" / f"{number}.png")
        real = self.build("--targets=")["pairs"][0]["real"]
        self.assertAllEqual(
            read_picture(self.output / "pictures" / real),
            read_picture(self.folder / "bad" / "targets" / "0.png"),
        )
