"""Tests of the perceptual study: how it is built, and sessions with it in headless Chromium."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess

import browser_tools
import command_line
import numpy as np
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized
from PIL import Image

from export import tfjs_node
from pix2pix_tf import evaluate
from pix2pix_tf.data import pairs
from pix2pix_tf.errors import InputError
from pix2pix_tf.evaluation.perceptual_study import __main__ as study_command
from pix2pix_tf.evaluation.perceptual_study import answers, build, results

SIZE = tiny_runs.CROP_SIZE
_SESSION = pathlib.Path(__file__).resolve().parent / "study_session.js"
_ALGORITHMS = ("bad", "good")


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


def chunks_of(png: bytes) -> set[str]:
    """Returns the kinds of chunks in a PNG; after the last there may be zeros."""
    kinds, position = set(), 8
    while "IEND" not in kinds:
        length = int.from_bytes(png[position : position + 4], "big")
        kinds.add(png[position + 4 : position + 8].decode())
        position += 12 + length
    if png[position:].strip(b"\0"):
        raise AssertionError("Something is written behind the image.")
    return kinds


class Mulberry:
    """The page's random numbers, written down a second time."""

    def __init__(self, seed: int):
        self.state = seed

    def draw(self, count: int) -> int:
        """Returns one of 0, ..., count - 1."""
        mask = 0xFFFFFFFF
        self.state = (self.state + 0x6D2B79F5) & mask
        mixed = ((self.state ^ (self.state >> 15)) * (self.state | 1)) & mask
        mixed ^= (mixed + (((mixed ^ (mixed >> 7)) * (mixed | 61)) & mask)) & mask
        return (mixed ^ (mixed >> 14)) * count // 2**32


def plan(description: dict, seed: int) -> tuple[str, list[tuple[str, str]]]:
    """Returns the algorithm that a seed draws, and (pair, place of the fake) of its trials."""
    random = Mulberry(seed)
    algorithm = description["algorithms"][random.draw(len(description["algorithms"]))]["name"]
    order = [pair["name"] for pair in description["pairs"]]
    for last in range(len(order) - 1, 0, -1):
        other = random.draw(last + 1)
        order[last], order[other] = order[other], order[last]
    count = description["num_practice"] + description["num_trials"]
    return algorithm, [(name, ("first", "second")[random.draw(2)]) for name in order[:count]]


class SessionTest(tf.test.TestCase, parameterized.TestCase):
    """What a person sees and saves."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        node, chromium = browser_tools.node(), browser_tools.chromium()
        cls.folder = tiny_runs.temporary_folder(cls)
        names = [f"pair {number} \u00e9" for number in range(8)]
        targets = build.targets_of_folder(write_pictures(cls.folder / "real", names, seed=0))
        outputs = {
            name: write_pictures(cls.folder / name, names, seed=seed)
            for seed, name in enumerate(_ALGORITHMS, start=1)
        }
        settings = dict(
            paper=build.Settings(num_practice=2, num_trials=2, notice="Ask <b>Ada</b>.\nRoom 1."),
            quick=build.Settings(num_practice=1, num_trials=2, exposure_ms=200),
            broken=build.Settings(num_practice=1, num_trials=7),
        )
        for name, setting in settings.items():
            build.build(outputs, targets, cls.folder / "studies" / name, settings=setting)
        next((cls.folder / "studies" / "broken" / "pictures").iterdir()).unlink()
        cls.description = read_description(cls.folder / "studies" / "paper")
        # One from a file host, the others as files, which may do less.
        cls.host = browser_tools.serve(cls, cls.folder / "studies")
        address = {
            name: (cls.folder / "studies" / name / "index.html").as_uri() for name in settings
        }
        address["quick"] = f"{cls.host}quick/"
        request = dict(
            playwright=str(tfjs_node.RUNNER / "node_modules" / "playwright-core"),
            chromium=chromium,
            folder=str(cls.folder),
            **address,
        )
        (cls.folder / "request.json").write_text(json.dumps(request))
        process = subprocess.run(
            [node, str(_SESSION), str(cls.folder / "request.json")],
            capture_output=True,
            text=True,
            check=False,
            timeout=600,  # Seconds; each wait in it is limited too.
        )
        if process.returncode:
            raise RuntimeError(f"The session ended early: {process.stderr}")
        cls.report = json.loads(process.stdout.strip().splitlines()[-1])

    def session(self, name: str) -> dict:
        return json.loads((self.folder / name).read_text(encoding="utf-8"))["session"]

    def test_the_first_screen_says_what_one_agrees_to(self):
        intro = self.report["keyboard"]["intro"]
        self.assertIn("First come 2 pairs to practise, where you are told", intro)
        self.assertIn("Then come 2 pairs without.", intro)
        self.assertIn("each for 1 second.", intro)
        self.assertIn("you may stop at any time", intro)
        self.assertIn("can be done by sight only", intro)
        self.assertIn("Ask <b>Ada</b>.\nRoom 1.", intro)  # As text.

    def test_each_picture_is_seen_for_one_second_first_the_left(self):
        others = seen = self.report["keyboard"]["seen"]
        session = self.session("keyboard.json")
        real = {pair["name"]: pair["real"] for pair in self.description["pairs"]}
        index = {pair["name"]: n for n, pair in enumerate(self.description["pairs"])}
        (fakes,) = [x["fakes"] for x in self.description["algorithms"] if x["name"] == "good"]
        for number, trial in enumerate(session["trials"]):
            files = [fakes[index[trial["pair"]]], real[trial["real"]]]
            if trial["fake"] == "second":
                files.reverse()
            expected = [
                (f"pictures/{files[0]}", "first-frame"),
                (f"pictures/{files[1]}", "second-frame"),
            ]
            views = [x for x in seen if (x["file"], x["frame"]) in expected]
            self.assertEqual([(x["file"], x["frame"]) for x in views[:2]], expected)
            # In practice the feedback shows both again.
            self.assertLen(views, 4 if trial["practice"] else 2)
            others = [x for x in others if x not in views]
            for view, milliseconds in zip(views, trial["shown_ms"]):
                self.assertAllClose(
                    view["ms"], milliseconds, atol=150
                )  # Frames, on a busy machine.
                self.assertBetween(milliseconds, 990, 1900)
                self.assertEqual([view["pixels"], view["width"]], [SIZE, SIZE])
            self.assertEqual(trial["interruptions"], 0, number)
        self.assertEmpty(others)

    def test_practice_gives_feedback_and_the_rest_none(self):
        right, wrong = self.report["keyboard"]["feedback"]
        self.assertEqual(right["text"], f"Right: the {right['fake']} picture was fake.")
        self.assertEqual(wrong["text"], f"Wrong: the {wrong['fake']} picture was fake.")
        for feedback in (right, wrong):
            truth = ["fake", "real"] if feedback["fake"] == "first" else ["real", "fake"]
            self.assertEqual(feedback["captions"], [f"First: {truth[0]}", f"Second: {truth[1]}"])
            self.assertEqual(feedback["shown"], ["visible", "visible"])
        self.assertEqual(self.report["keyboard"]["captions"], ["First", "Second"])

    def test_the_file_holds_the_answers(self):
        session = self.session("keyboard.json")
        algorithm, trials = plan(self.description, 7)
        self.assertEqual([(x["pair"], x["fake"]) for x in session["trials"]], trials)
        self.assertEqual([x["real"] for x in session["trials"]], [name for name, _ in trials])
        fakes = self.report["keyboard"]["fakes"]
        self.assertEqual([x["fake"] for x in session["trials"]], fakes)
        is_right = [x["answer"] == x["fake"] for x in session["trials"]]
        self.assertEqual(is_right, [True, False, False, True])
        self.assertEqual([x["practice"] for x in session["trials"]], [True] * 2 + [False] * 2)
        about = {x: session[x] for x in ("algorithm", "seed", "complete", "study", "exposure_ms")}
        expected = dict(algorithm="good", seed=7, complete=True, exposure_ms=1000)
        self.assertEqual(about, dict(expected, study=self.description["study"]))
        self.assertEqual(self.report["keyboard"]["name"], f"answers_{session['id'][:12]}.json")
        self.assertIn("answers_", self.report["keyboard"]["status"])
        saved = (self.folder / "keyboard.json").read_text(encoding="utf-8")
        self.assertEqual(self.report["keyboard"]["text"], saved)  # To copy where nothing saves.

    def test_the_seed_decides_what_is_shown(self):
        description = read_description(self.folder / "studies" / "quick")
        algorithm, trials = plan(description, 7)
        session = self.session("stopped.json")
        self.assertEqual(session["algorithm"], algorithm)
        self.assertEqual([(x["pair"], x["fake"]) for x in session["trials"]], trials[:2])
        others = [plan(description, seed) for seed in range(20)]
        self.assertEqual({name for name, _ in others}, set(_ALGORITHMS))

    def test_results_reads_the_saved_files(self):
        paths = [
            self.folder / f"{name}.json"
            for name in ("keyboard", "keyboard_again", "stopped", "interrupted")
        ]
        found = results.summarize(answers.read_all(paths))
        rates = {x["algorithm"]: (x["num_fooled"], x["num_trials"]) for x in found["algorithms"]}
        self.assertEqual(rates["good"], (1, 2))
        self.assertEqual(rates["bad"][1], 2)
        self.assertEqual([x["file"] for x in found["counted_once"]], [str(paths[1])])
        self.assertEqual(found["left_out"], [dict(file=str(paths[2]), num_trials=1, planned=2)])

    def test_everything_by_keyboard_with_the_focus_in_sight(self):
        focus = self.report["keyboard"]["focus"]
        self.assertEqual(focus[0]["id"], "start")
        self.assertEqual([x["id"] for x in focus[1:5]], ["question-title"] * 4)
        self.assertEqual(focus[5]["id"], focus[5]["expected"])
        for one in focus:
            self.assertEqual(one["outline"], "solid 3px", str(one))

    def test_a_key_that_is_pressed_early_and_held_does_not_answer(self):
        self.assertTrue(self.report["keyboard"]["isStillAsked"])

    def test_a_screen_reader_finds_its_way(self):
        tree = self.report["keyboard"]["tree"]
        for expected in ("- banner", "- main", 'heading "What you will do"', "- status"):
            self.assertIn(expected, tree)
        self.assertIn('progressbar "Loading the pictures"', tree)

    def test_a_phone_has_nothing_to_scroll_in_a_trial(self):
        intro, trial = self.report["phone"]["overflow"]
        self.assertEqual((intro["sideways"], trial), (0, dict(sideways=0, down=0)))
        self.assertEqual(self.report["phone"]["end"], "You have stopped.")
        self.assertFalse(self.session("stopped.json")["complete"])

    def test_a_pair_that_was_not_shown_to_the_end_is_shown_again(self):
        moments = self.report["interruption"]
        self.assertFalse(moments["visibleBehind"])
        self.assertIn("It will be shown again.", moments["paused"])
        self.assertTrue(moments["isSamePair"])
        self.assertIn("the question is next", moments["pausedAtQuestion"])
        trials = self.session("interrupted.json")["trials"]
        # The second was paused before its first picture, and at the question: seen once.
        self.assertEqual([x["interruptions"] for x in trials], [1, 0, 0])
        for trial in trials:
            self.assertBetween(min(trial["shown_ms"]), 190, 900)

    def test_leaving_before_the_end_is_warned_of(self):
        self.assertEqual(self.report["interruption"]["warning"], "beforeunload")

    def test_says_why_a_session_cannot_start(self):
        missing, algorithm, seed = self.report["refusals"]
        self.assertRegex(missing["text"], r"pictures/\d{5}\.png could not be loaded")
        self.assertIn("an algorithm 'none', which is not in this study", algorithm["text"])
        self.assertIn("the seed in the address is '4294967296'", seed["text"])
        for refusal in (missing, algorithm, seed):
            self.assertFalse(refusal["canStart"])

    def test_dark_and_light_pages_have_the_same_grey_around_the_pictures(self):
        light, dark = self.report["light"], self.report["dark"]
        self.assertEqual(light["frame"], dark["frame"])
        self.assertEqual((light["page"], dark["ink"]), ("rgb(246, 246, 243)", "rgb(232, 233, 234)"))
        self.assertEqual((dark["page"], light["ink"]), ("rgb(22, 24, 27)", "rgb(29, 32, 35)"))

    def test_asks_nobody_for_anything(self):
        self.assertNotEmpty(self.report["requests"])
        for url in self.report["requests"]:
            self.assertStartsWith(url, (f"{self.folder.as_uri()}/", self.host, "data:", "blob:"))
        self.assertEqual(self.report["errors"], [])


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
        script = (
            f"{(build.SITE / 'session.js').read_text()}\n"
            f"const description = {json.dumps(description)};\n"
            "const plans = [];\n"
            "for (let seed = 0; seed < 400; seed++) {\n"
            "  plans.push(planSession(description, seed, null));\n"
            "}\n"
            "console.log(JSON.stringify(plans));\n"
        )
        process = subprocess.run(
            [browser_tools.node(), "-"], input=script, capture_output=True, text=True, check=True
        )
        return json.loads(process.stdout)

    @parameterized.parameters((6, 6, "same"), (9, 6, "same"))
    def test_every_pair_at_most_once_in_any_order_and_place(self, num_pairs, count, pairing):
        plans = self.plans(num_pairs=num_pairs, count=count, pairing=pairing)
        counts = np.zeros([num_pairs, count, 2])
        for one in plans:
            names = [trial["pair"] for trial in one["trials"]]
            self.assertLen(set(names), count)
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
        drawn = sum(one["algorithm"] == "good" for one in plans)
        self.assertBetween(drawn, 160, 240)

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
        script = (
            f"{(build.SITE / 'session.js').read_text()}\n"
            f"console.log(JSON.stringify({json.dumps(texts)}.map(checksum)));\n"
        )
        process = subprocess.run(
            [browser_tools.node(), "-"], input=script, capture_output=True, text=True, check=True
        )
        expected = ["00000000", "352441c2"]  # Of CRC-32, as published.
        expected += [build.protocol.checksum(text) for text in texts[2:]]
        self.assertEqual(json.loads(process.stdout), expected)


class BuildTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)
        self.output = self.folder / "study"

    def write(self, count: int = 4, **sizes) -> None:
        """Writes real/ and the outputs of two algorithms."""
        for seed, name in enumerate(("real", *_ALGORITHMS)):
            size = sizes.get(name, (SIZE, SIZE))
            write_pictures(self.folder / name, map(str, range(count)), seed=seed, size=size)

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
        """Builds from --targets, and returns what the page is told."""
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
            with Image.open(path) as picture:
                picture.load()
                self.assertEqual((picture.format, picture.mode), ("PNG", "RGB"))
                self.assertEqual((picture.info, dict(picture.getexif())), ({}, {}))
            self.assertEqual(chunks_of(path.read_bytes()), {"IHDR", "IDAT", "IEND"})
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
            {path.name: path.read_bytes() for path in (again / "pictures").iterdir()},
            {
                path.name: path.read_bytes()
                for path in (self.folder / "study" / "pictures").iterdir()
            },
        )
        studies = {first["study"]}
        for number, flags in enumerate((["--seed=1"], ["--num_trials=3"], ["--pairing=different"])):
            self.output = self.folder / f"other {number}"
            studies.add(self.build(*flags)["study"])
        picture = self.folder / "good" / "0.png"
        pixels = read_picture(picture).copy()
        pixels[0, 0, 0] ^= 1
        Image.fromarray(pixels).save(picture)
        self.output = self.folder / "other picture"
        studies.add(self.build()["study"])
        self.assertLen(studies, 5)

    def test_what_evaluate_wrote_is_enough(self):
        tiny_runs.write_run(self.folder / "run", dataset="demo", direction="BtoA")
        data = self.folder / "data" / "test"
        random = np.random.RandomState(0)
        data.mkdir(parents=True)
        for number in range(3):
            # Twice the network's size, and not square: evaluate takes the middle.
            pixels = random.randint(0, 256, [2 * SIZE, 2 * 96, 3]).astype(np.uint8)
            Image.fromarray(pixels).save(data / f"{number}.png")
        result = command_line.run(
            evaluate,
            f"--model={self.folder / 'run'}",
            f"--dataset={self.folder / 'data'}",
            f"--output={self.folder / 'good'}",
        )
        self.assertEqual(result.exit_code, 0, result.stderr)
        result = self.run_command(algorithms=["good"])
        self.assertEqual(result.exit_code, 0, result.stderr)
        description = read_description(self.output)
        for number, pair in enumerate(description["pairs"]):
            # BtoA: the target is A, on the left.
            target = read_picture(data / f"{number}.png")[:, :96].astype(np.float32)
            expected = tf.image.resize(target, [SIZE, 48], antialias=True)[:, 8:40]
            real = read_picture(self.output / "pictures" / pair["real"])
            self.assertAllClose(real, expected, atol=0.51)

    @parameterized.parameters(("AtoB", 1), ("BtoA", 0))
    def test_a_data_set_by_name(self, direction, side):
        names = pairs.ScenePairs("val", size=SIZE).names[:3]
        write_pictures(self.folder / "good", names, seed=0)
        result = self.run_command(
            "--dataset=demo", "--split=val", f"--direction={direction}", algorithms=["good"]
        )
        self.assertEqual(result.exit_code, 0, result.stderr)
        pair = read_description(self.output)["pairs"][0]
        expected = pairs.ScenePairs("val", size=SIZE).read(0)[side]
        self.assertAllEqual(read_picture(self.output / "pictures" / pair["real"]), expected)

    def test_only_pairs_that_all_have(self):
        self.write(count=5)
        (self.folder / "good" / "3.png").unlink()
        self.assertEqual([x["name"] for x in self.build()["pairs"]], ["0", "1", "2", "4"])

    def refuse(self, *flags: str, **arguments) -> str:
        """Returns the one line of a refusal; nothing is left behind."""
        before = sorted(self.folder.rglob("*"))
        result = self.run_command(*flags, **arguments)
        self.assertEqual(result.exit_code, 2)
        self.assertStartsWith(result.stderr, "error: ")
        self.assertLen(result.stderr.splitlines(), 1)
        self.assertEqual(sorted(self.folder.rglob("*")), before)
        return result.stderr

    def test_too_few_pairs(self):
        self.write(count=2)
        text = self.refuse(f"--targets={self.folder / 'real'}")
        self.assertIn("There are 2 pairs", text)
        self.assertIn("a session takes 3, each once (1 for practice and 2)", text)
        self.assertIn("smaller --num_practice and --num_trials", text)

    @parameterized.parameters(
        ("--num_trials=0", "needs at least one trial"),
        ("--num_practice=-1", "needs at least one trial"),
        ("--exposure=0.01", "shown for 10 milliseconds"),
        ("--pairing=other", "pairing"),
        ("--algorithm=good", "Write it as NAME=DIR"),
        ("--algorithm=good=elsewhere", "two algorithms 'good'"),
        ("--algorithm=new=elsewhere", "There is no folder 'elsewhere'"),
        ("--split=test", "--targets and --split"),
        ("--targets=elsewhere", "There is no folder 'elsewhere'"),
    )
    def test_refuses_flags(self, flag, message):
        self.write()
        self.assertIn(message, self.refuse(f"--targets={self.folder / 'real'}", flag))

    def test_refuses_what_does_not_fit(self):
        self.write()
        targets = f"--targets={self.folder / 'real'}"
        self.assertIn("No outputs were named", self.refuse(targets, algorithms=[]))
        text = self.refuse()
        self.assertIn("there is no", text)
        self.assertIn("Pass --dataset and --direction, or --targets.", text)
        self.assertIn("Pass --direction", self.refuse("--dataset=demo"))
        text = self.refuse("--dataset=demo", "--direction=AtoB")
        self.assertIn("4 of the 4 outputs of 'bad' have no real picture", text)
        (self.folder / "good" / "0.png").write_bytes(b"no picture")
        self.assertIn("0.png' cannot be read as an image", self.refuse(targets))
        self.output.mkdir()
        self.assertIn("is there already", self.refuse(targets))

    @parameterized.parameters(
        (dict(good=(48, SIZE)), "different sizes: 32x32 of 'bad', 48x32 of 'good'"),
        (
            dict(good=(48, SIZE), bad=(48, SIZE)),
            "The output of '0' is 48x32 pixels and its real picture in",
        ),
    )
    def test_refuses_other_sizes(self, sizes, message):
        self.write(**sizes)
        self.assertIn(message, self.refuse(f"--targets={self.folder / 'real'}"))

    def record(self, name: str, **changes) -> None:
        """Writes what evaluate has measured an algorithm on."""
        contents = dict(dict(dataset="demo", split="val", direction="AtoB"), **changes)
        (self.folder / name / "evaluation.json").write_text(json.dumps(contents))

    def test_refuses_algorithms_that_were_measured_on_different_data(self):
        self.write()
        self.record("bad")
        self.record("good", direction="BtoA")
        self.assertIn("Evaluate both on the same data.", self.refuse())
        # One without a record is of unknown data.
        (self.folder / "good" / "evaluation.json").unlink()
        self.assertRegex(self.refuse(), "there is no '.*/good/evaluation.json'. Pass --dataset")
        for changes in (dict(direction=None), dict(dataset=["demo"])):
            self.record("bad", **changes)
            self.assertIn("does not say what was measured", self.refuse("--dataset=demo"))
        (self.folder / "bad" / "evaluation.json").write_text("[]")
        self.assertIn("does not say what was measured", self.refuse())

    @parameterized.parameters(
        ("--split=test", "--split is 'test', and 'good' was measured on 'val', by '"),
        ("--direction=BtoA", "--direction is 'BtoA', and 'good' was measured on 'AtoB', by '"),
        ("--dataset=demo", "--dataset is 'demo', and 'good' was measured on '"),
    )
    def test_refuses_flags_that_contradict_what_evaluate_measured(self, flag, message):
        self.write()
        # As facades has it: pictures of the same names in each split, so nothing else is wrong.
        data = self.folder / "data"
        for seed, split in enumerate(("val", "test")):
            write_pictures(data / split, map(str, range(4)), seed=seed, size=(2 * SIZE, SIZE))
        # The other has no record, and is not asked. The folder is written in another way.
        self.record("good", dataset=str(data / ".." / "data"))
        flags = [f"--dataset={data}", "--split=val", "--direction=AtoB"]
        self.assertIn(message, self.refuse(*flags, flag))
        # Flags that agree are none too many, and what they leave out is as it was measured.
        expected = read_picture(data / "val" / "0.png")[:, SIZE:]
        for number, given in enumerate((flags, flags[:1])):
            self.output = self.folder / f"study {number}"
            result = self.run_command(*given)
            self.assertEqual(result.exit_code, 0, result.stderr)
            pair = read_description(self.output)["pairs"][0]
            self.assertAllEqual(read_picture(self.output / "pictures" / pair["real"]), expected)

    def test_settings_of_the_paper(self):
        settings = build.Settings()
        found = (settings.num_practice, settings.num_trials, settings.exposure_ms)
        self.assertEqual(found, (10, 40, 1000))
        with self.assertRaises(InputError):
            build.Settings(num_trials=0)


if __name__ == "__main__":
    tf.test.main()
