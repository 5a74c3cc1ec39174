"""Tests of the drawing page: how it is assembled, and a session with it in headless Chromium."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import json
import os
import pathlib
import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from unittest import mock

import browser_tools
import command_line
import numpy as np
import pytest
import tensorflow as tf
import tiny_runs
from absl.testing import parameterized
from PIL import Image

from benchmarks import page
from export.web import __main__ as web_command
from export.web import assemble, palette, runtimes, serve
from pix2pix_tf import networks, serving
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import classes, images, pairs, scenes
from pix2pix_tf.errors import WriteError

SIZE = tiny_runs.CROP_SIZE
_WORKER = pathlib.Path(__file__).resolve().with_name("worker_session.js")
_COLORS = {kind.name: kind.color for kind in scenes.CLASSES}


def draw_noise(number: int, count: int) -> np.ndarray:
    """Returns the page's z for a noise number: mulberry32, written down a second time."""
    mask, state, values = 0xFFFFFFFF, number, []
    for _ in range(count):
        state = (state + 0x6D2B79F5) & mask
        mixed = ((state ^ (state >> 15)) * (state | 1)) & mask
        mixed ^= (mixed + (((mixed ^ (mixed >> 7)) * (mixed | 61)) & mask)) & mask
        values.append(((mixed ^ (mixed >> 14)) >> 8) / 2**24)
    return np.array(values, np.float32)[np.newaxis]


@functools.cache
def shared_site(runtime: str) -> pathlib.Path:
    """Returns the page of `shared_run`, assembled once a process; not to be written to."""
    folder = tiny_runs.shared_folder() / f"site_{runtime}"
    return assemble.assemble(tiny_runs.shared_run(), folder, runtime=runtime)


class _PageTest(tf.test.TestCase, parameterized.TestCase):
    """What the page of a session showed, moment by moment."""

    @classmethod
    def run_session(cls, site: pathlib.Path, **request) -> dict:
        """Returns what a session saw."""
        browser_tools.node()
        cls.folder = tiny_runs.temporary_folder(cls)
        cls.site = site
        cls.generator = tiny_runs.read_generator(tiny_runs.shared_run())
        cls.noise_size = networks.noise_size(TrainConfig.load(tiny_runs.shared_run()))
        cls.url = browser_tools.serve(cls, cls.site)
        report = browser_tools.run_session(
            "page_session.js", url=cls.url, download=str(cls.folder / "download.png"), **request
        )
        cls.moments = report["moments"]
        return report

    def pixels(self, moment: str, side: str) -> np.ndarray:
        return np.array(self.moments[moment][side], np.uint8).reshape(SIZE, SIZE, 4)

    def expected_output(self, moment: str, noise: int) -> np.ndarray:
        """Returns what the network makes of the input of a moment."""
        image = images.normalize_image(self.pixels(moment, "input")[np.newaxis, ..., :3])
        z = tf.constant(draw_noise(noise, self.noise_size))
        output = self.generator([image, z], training=True)
        return images.denormalize_image(output)[0].numpy()

    def assert_shows(self, moment: str, *, noise: int):
        """Asserts that the page shows the network's output, up to a rounding."""
        shown = self.pixels(moment, "output")
        self.assertAllEqual(shown[..., 3], np.full([SIZE, SIZE], 255))
        difference = np.abs(shown[..., :3].astype(int) - self.expected_output(moment, noise))
        self.assertLessEqual(difference.max(), 1)
        self.assertGreater(shown[..., :3].std(), 10)  # A picture, and no blank sheet.


class SessionTest(_PageTest):
    """What a person sees who opens the page, draws, and takes the picture away."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        files = tiny_runs.temporary_folder(cls)
        # Not square, and half transparent.
        picture = np.zeros((SIZE, 2 * SIZE, 4), np.uint8)
        picture[:, SIZE // 2 : SIZE] = (10, 200, 30, 255)
        Image.fromarray(picture).save(files / "picture.png")
        # One with a shape of its own, one without any: the page has to give them a size.
        rows = {"shaped.svg": 'viewBox="0 0 64 32"', "shapeless.svg": ""}
        for name, shape in rows.items():
            (files / name).write_text(
                f'<svg xmlns="http://www.w3.org/2000/svg" {shape}>'
                '<rect width="100%" height="100%" fill="#0ac81e"/>'
                f'<rect width="{SIZE}" height="{SIZE // 2}" fill="#c80a1e"/></svg>'
            )
        cls.report = cls.run_session(
            shared_site(runtimes.DEFAULT),
            picture=str(files / "picture.png"),
            drawings=[str(files / name) for name in rows],
        )

    def assert_sample(self, moment: str, number: int):
        sample = np.array(Image.open(self.site / "samples" / f"{number}_input.png"))
        self.assertAllEqual(self.pixels(moment, "input")[..., :3], sample)

    def test_starts_with_the_first_sample_translated(self):
        self.assert_sample("start", 1)
        self.assert_shows("start", noise=1)
        self.assertFalse(self.moments["start"]["undo"])
        # A host of files does not send the headers for threads.
        self.assertRegex(self.moments["start"]["time"], r"^\d+ ms on LiteRT.js \(wasm\)$")
        self.assertIn("Ready, on ", self.moments["start"]["status"])
        self.assertEqual(self.moments["title"], "pix2pix demo: draw")
        self.assertEqual(self.moments["palette"], [kind.name for kind in scenes.CLASSES])

    def test_a_rectangle_changes_the_translation_where_it_is(self):
        before, after = self.pixels("start", "input"), self.pixels("rectangle", "input")
        expected = before.copy()
        expected[3:12, 2:10, :3] = _COLORS["door"]
        self.assertAllEqual(after, expected)
        self.assert_shows("rectangle", noise=1)
        outputs = [self.pixels(moment, "output").astype(int) for moment in ("start", "rectangle")]
        change = np.abs(outputs[0] - outputs[1]).mean(-1)
        self.assertGreater(change[3:12, 2:10].mean(), 2 * change[16:, 16:].mean())
        self.assertGreater(change[3:12, 2:10].mean(), 5)

    def test_undo_and_redo(self):
        for side in ("input", "output"):
            self.assertAllEqual(self.pixels("undone", side), self.pixels("start", side))
            self.assertAllEqual(self.pixels("redone", side), self.pixels("rectangle", side))
        moments = [self.moments[moment] for moment in ("rectangle", "undone", "redone")]
        states = [(moment["undo"], moment["redo"]) for moment in moments]
        self.assertEqual(states, [(True, False), (False, True), (True, False)])

    def test_new_noise_changes_the_translation_alone(self):
        self.assertAllEqual(self.pixels("newNoise", "input"), self.pixels("redone", "input"))
        self.assert_shows("newNoise", noise=2)
        before, after = (self.pixels(moment, "output") for moment in ("redone", "newNoise"))
        self.assertNotAllClose(after, before, atol=20)
        self.assertIn("noise 2", self.moments["newNoise"]["noise"])

    def test_the_download_is_what_is_shown(self):
        self.assertEqual(self.moments["downloadName"], "translation.png")
        downloaded = np.array(Image.open(self.folder / "download.png").convert("RGBA"))
        self.assertAllEqual(downloaded, self.pixels("newNoise", "output"))

    def test_the_slider_lays_the_drawing_over_the_translation(self):
        shown = ["inset(0px 100% 0px 0px)", "inset(0px 70% 0px 0px)"]
        self.assertEqual(self.moments["clips"], shown)

    def test_drawing_by_keyboard(self):
        background = np.full((SIZE, SIZE, 3), _COLORS["background"], np.uint8)
        self.assertAllEqual(self.pixels("cleared", "input")[..., :3], background)
        middle = SIZE // 2
        background[middle, middle : middle + 9] = _COLORS["pillar"]
        background[middle + 1, middle + 8] = _COLORS["pillar"]
        self.assertAllEqual(self.pixels("byKeys", "input")[..., :3], background)
        self.assert_shows("byKeys", noise=2)
        self.assertAllEqual(self.pixels("givenUp", "input"), self.pixels("byKeys", "input"))

    def test_drawing_by_touch_on_a_phone(self):
        expected = self.pixels("start", "input").copy()
        expected[10, 20, :3] = _COLORS["pillar"]
        self.assertAllEqual(self.pixels("phone", "input"), expected)
        self.assertEqual(self.moments["phone"]["overflow"], 0)  # Nothing to scroll sideways.

    def test_opens_samples_and_files(self):
        self.assert_sample("sample", 2)
        opened = self.pixels("opened", "input")
        expected = np.full((SIZE, SIZE, 4), 255, np.uint8)  # The middle, transparent as white.
        expected[:, : SIZE // 2] = (10, 200, 30, 255)
        self.assertAllEqual(opened, expected)

    def test_opens_svg_files_without_a_size(self):
        shaped, shapeless = (
            np.array(pixels, np.uint8).reshape(SIZE, SIZE, 4)[..., :3]
            for pixels in self.moments["drawings"]
        )
        green, red = (10, 200, 30), (200, 10, 30)
        expected = np.full((SIZE, SIZE, 3), green, np.uint8)
        expected[: SIZE // 2] = red
        self.assertAllEqual(shapeless, expected)  # A unit is a pixel.
        # Of 64 x 32 the middle 32 x 32: the red 32 x 16 reaches into its left half.
        expected[: SIZE // 2, SIZE // 2 :] = green
        self.assertAllEqual(shaped, expected)

    def test_the_translation_follows_before_the_button_is_let_go(self):
        expected = self.pixels("start", "input").copy()
        expected[3:7, 2:7, :3] = _COLORS["door"]
        self.assertAllEqual(self.pixels("during", "input"), expected)
        self.assert_shows("during", noise=1)
        self.assertFalse(self.moments["during"]["undo"])  # Not a stroke yet.

    def test_a_stroke_is_ended_by_what_takes_its_place(self):
        background = np.full((SIZE, SIZE, 3), _COLORS["background"], np.uint8)
        self.assertAllEqual(self.pixels("clearedInStroke", "input")[..., :3], background)
        self.assert_shows("clearedInStroke", noise=2)
        before = self.pixels("strokeOfClear", "input")
        self.assertAllEqual(before[3:10, 2:10, :3], np.full((7, 8, 3), _COLORS["door"]))
        self.assert_sample("openedInStroke", 1)
        self.assertFalse(self.moments["strokeAfter"]["redo"])  # What it would bring back is gone.
        after = self.pixels("strokeAfter", "input")
        self.assertAllEqual(after[25, 25, :3], _COLORS["door"])

    def test_rectangles_by_keyboard_and_then_by_mouse(self):
        background = np.full((SIZE, SIZE, 3), _COLORS["background"], np.uint8)
        self.assertAllEqual(self.pixels("undoneByKeys", "input")[..., :3], background)
        drawn = (self.pixels("leftByTab", "input")[..., :3] != background).any(-1)
        rows, columns = np.nonzero(drawn)
        # Two steps of 8 pixels, both corners included.
        self.assertEqual((np.ptp(rows), np.ptp(columns), drawn.sum()), (8, 8, 81))
        by_mouse = (self.pixels("mouseAfterKeys", "input")[..., :3] != background).any(-1)
        self.assertEqual(by_mouse.sum(), 2)
        self.assertTrue(by_mouse[1, 1])
        self.assertEqual(self.moments["brushSize"], "2")

    def test_after_a_burst_of_strokes_the_last_is_shown(self):
        self.assert_shows("burst", noise=2)
        changed = self.pixels("burst", "input") != self.pixels("mouseAfterKeys", "input")
        self.assertGreater(changed.sum(), 20)

    def test_what_it_offers(self):
        self.assertEqual(self.moments["backends"], ["automatic", "webgpu", "wasm"])
        self.assertFalse(self.moments["camera"])  # It draws on labels.

    def test_its_times_are_measured_by_a_command(self):
        result = command_line.run(page, f"--site={self.site}", "--strokes=2")
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        spread = r"\d+ ms \(median; \d+ to \d+\)"
        first = r"first translation: \d+\.\d s"
        # Its server sends the headers by which the page has threads, if there are processors.
        on = rf"{self.site}, on LiteRT.js \(wasm"
        for part in (on, first, f"a stroke: {spread}", f"the model alone: {spread}"):
            self.assertRegex(result.stdout, part)
        if (os.cpu_count() or 1) > 1:
            self.assertRegex(result.stdout, rf"{on}, [2-4] threads\)")
        broken = self.folder / "broken"
        shutil.copytree(self.site, broken, ignore=shutil.ignore_patterns("model-*"))
        result = command_line.run(page, f"--site={broken}")
        result.check_refused("The model does not run here")
        result = command_line.run(page, f"--site={self.folder}")
        result.check_refused("it has no site.json")

    def test_asks_no_other_host(self):
        self.assertNotEmpty(self.report["seen"]["requests"])
        for url in self.report["seen"]["requests"]:
            self.assertStartsWith(url, (self.url, "blob:", "data:"))
        self.assertEqual(self.report["seen"]["errors"], [])

    def test_says_what_is_missing(self):
        self.assertIn("The model does not run here", self.report["withoutModel"])
        self.assertIn("The worker stopped", self.report["withoutRuntime"])
        self.assertIn("site.json: 404", self.report["withoutSite"])
        for message in self.report["oldBrowsers"]:
            self.assertIn("too old", message)


class TfjsTest(_PageTest):
    """The page on the other runtime."""

    BACKENDS = ("wasm", "cpu")
    RUNTIME = "tfjs"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_session(shared_site(cls.RUNTIME), backends=cls.BACKENDS)

    def test_each_backend_shows_the_same(self):
        for backend in self.BACKENDS:
            moment = self.moments[backend]
            if "message" in moment and backend.startswith("web"):
                self.skipTest(f"This Chromium has no {backend}: {moment['message']}")
            self.assertRegex(moment["time"], rf"^\d+ ms on .*\({backend}\)$")
            self.assert_shows(backend, noise=2)


@pytest.mark.slow  # On an imitation of a GPU.
class TfjsOnGpuTest(TfjsTest):
    BACKENDS = ("webgl", "webgpu")


@pytest.mark.slow
class LitertOnGpuTest(TfjsTest):
    BACKENDS = ("webgpu",)
    RUNTIME = "litert"


class CameraTest(_PageTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        site = tiny_runs.temporary_folder(cls) / "site"
        shutil.copytree(shared_site(runtimes.DEFAULT), site)
        described = json.loads((site / serve.DESCRIPTION).read_text())
        (site / serve.DESCRIPTION).write_text(json.dumps({**described, "camera": True}))
        cls.run_session(site, camera=True)

    def assert_same_input(self, *moments: str):
        first, *others = (self.pixels(moment, "input") for moment in moments)
        for other in others:
            self.assertAllEqual(first, other)

    def test_what_it_sees_is_translated_with_one_noise(self):
        self.assert_shows("stopped", noise=1)
        self.assertNotAllEqual(self.pixels("before", "input"), self.pixels("stopped", "input"))

    def test_the_last_frame_stays_when_it_is_stopped(self):
        self.assert_same_input("stopped", "later")

    def test_a_stroke_stops_it_and_is_drawn_on_the_last_frame(self):
        drawn = self.pixels("drawnOn", "input")
        before = self.pixels("undoneStroke", "input")
        changed = (drawn != before).any(-1)
        self.assertTrue(changed[3:12, 2:10].any())
        changed[3:12, 2:10] = False
        self.assertFalse(changed.any())

    def test_undo_brings_back_what_was_drawn_before_it(self):
        self.assert_same_input("stopped", "undoneSecond")
        self.assert_same_input("before", "undoneFirst")
        self.assertFalse(self.moments["undoneFirst"]["undo"])

    def test_a_stroke_before_it_is_on_keeps_it_off(self):
        for moment in ("drawnBeforeItIsOn", "laterThanThat"):
            changed = self.pixels(moment, "input") != self.pixels("before", "input")
            changed[3:12, 2:10] = False
            self.assertFalse(changed.any())
        self.assertEqual(self.moments["tracksLeft"], 0)

    def test_a_camera_that_is_refused(self):
        self.assertIn("Allow it in the browser", self.moments["forbidden"]["status"])


class WorkerTest(tf.test.TestCase):
    """The page's worker in Node, with a TF.js that is made up."""

    def test_weights_are_freed_before_another_backend_has_its_own(self):
        node = browser_tools.node()
        process = subprocess.run(
            [
                node,
                str(_WORKER),
                str(assemble.STATIC / "worker.js"),
                str(runtimes.RUNTIMES["tfjs"].script),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        report = json.loads(process.stdout)
        self.assertEqual(
            report["events"],
            ["load on webgl", "free of webgl", "load on wasm", "free of wasm", "load on cpu"],
        )
        self.assertEqual([said["backend"] for said in report["ready"]], ["wasm", "cpu"])
        tried = report["ready"][0]["tried"]
        self.assertEqual(tried[0], "webgpu: this browser has none")
        self.assertEqual(tried[1], "webgl: it computes wrong numbers here")


class ServeTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.site = tiny_runs.temporary_folder(self)
        (self.site / serve.DESCRIPTION).write_text("{}")

    def test_a_page_may_have_threads(self):
        with urllib.request.urlopen(f"http://localhost:{self.start()}/site.json") as answer:
            self.assertEqual(answer.headers["Cross-Origin-Opener-Policy"], "same-origin")
            self.assertEqual(answer.headers["Cross-Origin-Embedder-Policy"], "require-corp")

    def start(self, port: int = 0) -> int:
        """Returns the port of a server of the site."""
        server = serve.make_server(self.site, port)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        for step in (server.server_close, thread.join, server.shutdown):
            self.addCleanup(step)
        return server.server_port

    def test_each_has_a_port_of_its_own(self):
        ports = [self.start(), self.start()]
        self.assertLen(set(ports), 2)
        for port in ports:
            with urllib.request.urlopen(f"http://localhost:{port}/site.json") as answer:
                self.assertEqual(answer.read(), b"{}")
        result = command_line.run(serve, f"--site={self.site}", f"--port={ports[1]}")
        result.check_refused(f"Port {ports[1]}")

    def test_what_is_not_a_page(self):
        (self.site / serve.DESCRIPTION).unlink()
        result = command_line.run(serve, f"--site={self.site}")
        result.check_refused(self.site, "export web")


@contextlib.contextmanager
def without_packages(**fields) -> Iterator[None]:
    """Takes from the runtimes what they have installed, and replaces their fields."""
    changed = {
        name: dataclasses.replace(runtime, vendored={}, **fields)
        for name, runtime in runtimes.RUNTIMES.items()
    }
    with mock.patch.dict(runtimes.RUNTIMES, changed):
        yield


class AssembleTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = tiny_runs.temporary_folder(self)

    def assemble(self, *flags: str, contents: bytes = b"model", **settings):
        """Returns the site of a new run without a real model, and site.json."""

        def write(version, folder, quantize):
            folder.mkdir()
            (folder / "the.model").write_bytes(contents + quantize.encode())
            return "the.model"

        folder = self.folder / f"{len(list(self.folder.iterdir()))}"
        self.write_config(folder / "run", data_dir=str(self.folder), **settings)
        card = dict(step=None, noise_size=1)
        with (
            mock.patch.object(serving, "save_version") as self.save,
            mock.patch.object(serving, "read_model_card"),
            mock.patch.object(serving, "published_card", return_value=card),
            without_packages(write=write),
        ):
            result = self.run_command(folder, *flags)
        self.assertEqual(result.exit_code, 0, result.stderr)
        self.assertCountEqual([path.name for path in folder.iterdir()], ["run", "site"])
        self.assertEqual(json.loads((folder / "site" / "model_card.json").read_text()), card)
        return folder / "site", json.loads((folder / "site" / "site.json").read_text())

    def write_config(self, folder: pathlib.Path, **settings) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        TrainConfig(crop_size=SIZE, base_filters=2, **settings).save(folder)

    def run_command(self, folder: pathlib.Path, *flags: str) -> command_line.Result:
        return command_line.run(
            web_command, f"--workdir={folder / 'run'}", f"--output={folder / 'site'}", *flags
        )

    def read_sample(self, site: pathlib.Path, name: str) -> np.ndarray:
        return np.array(Image.open(site / "samples" / name))

    def test_a_model_of_edges_is_drawn_on_by_pen(self):
        flags = ("--runtime=tfjs", "--quantize=uint8", "--checkpoint=best")
        site, described = self.assemble(*flags, dataset="edges2shoes", input_channels=1)
        self.assertEqual(self.save.call_args.kwargs["checkpoint"], "best")
        self.assertEqual(described["mode"], "pen")
        colors = [brush["color"] for brush in described["palette"]]
        self.assertEqual(colors, [[255, 255, 255], [0, 0, 0]])
        # The published set is not at hand, and nothing is downloaded for pictures.
        self.assertEqual((described["samples"], described["gallery"]), ([], ""))
        self.assertEqual(described["model"]["inputChannels"], 1)
        self.assertStartsWith(described["subtitle"], "Draw edges; ")
        self.assertFalse(described["camera"])
        self.assertEqual((site / described["model"]["url"]).read_bytes(), b"modeluint8")

    def test_samples_of_a_folder_of_pairs(self):
        scene = scenes.draw_scene(SIZE, seed=0, index=0)
        data = self.folder / "pairs"
        (data / "train").mkdir(parents=True)
        pair = np.concatenate([scene.photo, scene.labels], axis=1)  # A is the photo.
        Image.fromarray(pair).save(data / "train" / "one.png")
        site, described = self.assemble(dataset=str(data), direction="BtoA")
        self.assertLen(described["samples"], 1)
        self.assertAllEqual(self.read_sample(site, "1_input.png"), scene.labels)
        self.assertAllEqual(self.read_sample(site, "1_target.png"), scene.photo)
        self.assertStartsWith(described["gallery"], "Pairs of the data set")
        _, described = self.assemble(dataset="/moved/since", direction="BtoA")
        self.assertEqual(described["samples"], [])

    def test_drawn_scenes_stand_in_for_facades(self):
        site, described = self.assemble(dataset="facades", direction="BtoA")
        self.assertLen(described["samples"], assemble.NUM_SAMPLES)
        labels, photo = pairs.ScenePairs("test", size=SIZE).read(0)
        self.assertAllEqual(self.read_sample(site, "1_input.png"), labels)
        self.assertAllEqual(self.read_sample(site, "1_target.png"), photo)
        self.assertStartsWith(described["gallery"], "Drawn scenes")
        self.assertStartsWith(described["subtitle"], "Draw labels; ")

    def test_photos_are_opened_and_not_drawn(self):
        _, described = self.assemble(dataset="facades", direction="AtoB")
        self.assertEqual(described["samples"], [])
        self.assertStartsWith(described["subtitle"], "Open a photo, or what ")
        self.assertTrue(described["camera"])

    def test_label_maps_of_ones_own_are_drawn_and_photos_seen_by_a_camera(self):
        """By the samples: neither set is one whose name is known."""
        scene = scenes.draw_scene(SIZE, seed=0, index=0)
        data = self.folder / "pairs"
        (data / "train").mkdir(parents=True)
        pair = np.concatenate([scene.photo, scene.labels], axis=1)  # A is the photo.
        Image.fromarray(pair).save(data / "train" / "one.png")
        for direction, has_camera in (("AtoB", True), ("BtoA", False)):
            _, described = self.assemble(dataset=str(data), direction=direction)
            self.assertEqual(described["camera"], has_camera)

    def test_code_lies_in_a_folder_named_after_it(self):
        """So that a browser does not mix it with what it kept of another build."""
        names = []
        for runtime in ("litert", "tfjs"):
            site, _ = self.assemble(f"--runtime={runtime}")
            page = (site / "index.html").read_text()
            (code,) = site.glob("code-*")
            self.assertIn(f'src="{code.name}/app.js"', page)
            self.assertNotIn("CODE", page)
            for file in ("app.js", "camera.js", "worker.js", "runtime.js", "vendor"):
                self.assertTrue((code / file).exists(), file)
            names.append(code.name)
        self.assertNotEqual(*names)

    def test_the_name_of_a_model_folder_follows_from_its_contents(self):
        urls = [
            self.assemble(contents=contents)[1]["model"]["url"] for contents in (b"1", b"1", b"2")
        ]
        self.assertEqual(urls[0], urls[1])
        self.assertNotEqual(urls[0], urls[2])

    def test_what_cannot_be_used(self):
        def assert_refused(part: str):
            self.run_command(self.folder).check_refused(part)

        assert_refused("config.json")
        self.write_config(self.folder / "run")
        with mock.patch.object(runtimes, "_MODULES", self.folder):
            assert_refused("npm ci --prefix ")
        result = self.run_command(self.folder, "--quantize=uint8")
        result.check_refused("--runtime=litert", "dynamic", "uint8")
        self.assertFalse((self.folder / "site").exists())
        mine = self.folder / "site" / "mine.txt"
        mine.parent.mkdir()
        mine.touch()
        assert_refused(f"'{self.folder / 'site'}'")
        self.assertTrue(mine.exists())
        self.write_config(self.folder / "run", color_space="lab")
        assert_refused("lab")

    def test_a_full_disk(self):
        tiny_runs.write_run(self.folder / "run")
        fault = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with without_packages():
            with mock.patch.object(assemble.shutil, "copytree", side_effect=fault):
                with self.assertRaisesRegex(WriteError, "/site'.*No space"):
                    assemble.assemble(self.folder / "run", self.folder / "site")
        self.assertEqual([path.name for path in self.folder.iterdir()], ["run"])


class PaletteTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        ("demo", "AtoB", True),
        ("demo", "BtoA", False),
        ("facades", "BtoA", True),
        ("/data/facades", "BtoA", True),
        ("facades", "AtoB", False),
        ("maps", "AtoB", False),
    )
    def test_who_has_the_classes_of_facades(self, dataset, direction, expected):
        config = TrainConfig(dataset=dataset, direction=direction)
        self.assertEqual(palette.has_scene_labels(config), expected)

    def test_classes_of_facades_by_name(self):
        brushes = palette.choose(TrainConfig(dataset="facades", direction="BtoA"), [])
        self.assertLen(brushes, 12)
        self.assertEqual(brushes[0], palette.Brush("background", (0, 0, 222)))
        self.assertEqual(brushes[11], palette.Brush("shop", (174, 0, 1)))

    def test_lines_of_many_shades_are_drawn_with_a_pen(self):
        """As edges of 256 pixels are, scaled for a network of 128."""
        sketch = np.full((64, 64, 3), 255, np.uint8)
        for place, shade in ((8, 160), (20, 190), (32, 224), (44, 130)):
            sketch[place, 4:60] = shade
            sketch[4:60, place] = shade
        brushes = palette.choose(TrainConfig(dataset="/my/pairs"), [sketch])
        self.assertEqual([x.name for x in brushes], ["paper", "pen"])
        self.assertEqual(brushes[0].color, (255, 255, 255))
        self.assertLess(max(brushes[1].color), 230)
        self.assertTrue(palette.are_drawn([sketch]))  # So no camera is offered.
        areas = sketch.copy()
        areas[8:40, 8:40] = 160  # Grey labels are not lines.
        self.assertGreater(len(palette.choose(TrainConfig(dataset="/my/pairs"), [areas])), 2)
        red = sketch.copy()
        red[..., 0] = 255
        self.assertGreater(len(palette.choose(TrainConfig(dataset="/my/pairs"), [red])), 2)

    def test_classes_of_a_known_set_by_their_colours(self):
        """Whatever the folder is called, and also where more than twelve are rare."""
        table = classes.find("cityscapes")
        palette_of = np.array([kind.color for kind in table.classes], np.uint8)
        labels = np.zeros((64, 64), int)
        labels[30:, :20], labels[:3, :3] = 2, 11  # Road, building, a small person.
        brushes = palette.choose(TrainConfig(dataset="/my/pairs"), [palette_of[labels]])
        self.assertEqual([x.name for x in brushes], [kind.name for kind in table.scored])
        black = np.zeros((64, 64, 3), np.uint8)
        black[10] = 255  # White lines on black are not Cityscapes' void.
        self.assertLen(palette.choose(TrainConfig(dataset="/my/pairs"), [black]), 2)

    def test_dominant_colors_through_the_noise_of_compression(self):
        random = np.random.RandomState(0)
        labels = np.zeros((64, 64, 3), int)
        labels[:] = (128, 64, 128)
        labels[:20] = (70, 130, 180)
        labels[50:, :30] = (220, 20, 60)
        labels[0, 0] = (0, 255, 0)  # One pixel is no class.
        noisy = np.clip(labels + random.randint(-3, 4, labels.shape), 0, 255).astype(np.uint8)
        colors = palette.dominant_colors([noisy])
        self.assertLen(colors, 3)
        expected = [(128, 64, 128), (70, 130, 180), (220, 20, 60)]
        self.assertAllClose(colors, expected, atol=3)

    def test_the_colors_of_photos_are_found_without_sorting_rows(self):
        """Which took 20 s for eight photos."""
        random = np.random.RandomState(0)
        smooth = np.add.outer(np.arange(256), np.arange(256))[..., np.newaxis] // [2, 3, 4]
        noisy = np.clip(smooth + random.randint(-9, 10, smooth.shape), 0, 255).astype(np.uint8)
        start = time.process_time()
        rows, counts = np.unique(noisy.reshape(-1, 3), axis=0, return_counts=True)
        seconds_of_rows = time.process_time() - start
        start = time.process_time()
        colors = palette.dominant_colors([noisy])
        self.assertLess(time.process_time() - start, seconds_of_rows / 2)
        self.assertEqual(colors[0], tuple(rows[np.argmax(counts)]))

    def test_two_colors_are_line_art(self):
        config = TrainConfig(dataset="/my/sketches")
        sketch = np.full((32, 32, 3), 255, np.uint8)
        sketch[10] = 0
        brushes = palette.choose(config, [sketch])
        self.assertEqual([brush.color for brush in brushes], [(255, 255, 255), (0, 0, 0)])
        photo = tiny_runs.random_image(32, 32, 3)
        brushes = palette.choose(config, [(127 * photo + 128).astype(np.uint8) // 64 * 64])
        self.assertLen(brushes, 12)
