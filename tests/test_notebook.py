"""Tests of the notebooks: run from start to end, and read.

Most run the cells in this process, with networks of two layers. Two run the notebooks as they are,
in a kernel.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.machinery
import importlib.util
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import types
import urllib.request
import venv
import zipfile
from unittest import mock

import IPython.display
import jupytext
import keras
import nbclient
import nbformat
import numpy as np
import pytest
import tensorflow as tf
import tiny_runs
import tiny_training
from PIL import Image

from pix2pix_tf import grids, losses, objective
from pix2pix_tf.config import TrainConfig
from pix2pix_tf.data import pairs, registry
from pix2pix_tf.errors import InputError
from pix2pix_tf.export import onnx, tfjs, tflite
from pix2pix_tf.export.browser import programs
from pix2pix_tf.export.onnx import session
from pix2pix_tf.export.web import assemble, serve
from pix2pix_tf.training import loop

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_FOLDER = _REPOSITORY / "notebooks"
_SOURCES = sorted(_FOLDER.glob("*.py"))
_TRAIN = _FOLDER / "train_pix2pix.py"
_EXPORT = _FOLDER / "export_and_serve.py"
_FINE_TUNE = _FOLDER / "fine_tune.py"
_INSTALL = "def find_project"  # In the cell that all notebooks share.
_CELL_SECONDS = 300
_GENERATE = "make notebook  (jupytext --to ipynb --update notebooks/*.py)"

_TINY = dict(
    crop_size=32,
    base_filters=2,
    num_steps=4,
    log_every=1,
    sample_every=2,
    checkpoint_every=2,
    num_samples=2,
    num_evaluated=2,
    precision="float32",
)

# Colab has had Keras 3 for long; there its notebooks have to run in the fast tests too.
slow_on_classic = pytest.mark.slow if keras.__version__.startswith("2.") else lambda test: test


def run_notebook(source: pathlib.Path, folder: pathlib.Path, *, parameters: str) -> str:
    """Returns all that a notebook prints in a kernel.

    Args:
        source: The `.py` beside it.
        folder: Working directory of the kernel.
        parameters: Code that comes after the cell tagged `parameters`.
    """
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    cells = notebook.cells
    position = next(n for n, x in enumerate(cells) if "parameters" in x.metadata.get("tags", []))
    cells.insert(position + 1, nbformat.v4.new_code_cell(parameters))
    place = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=_CELL_SECONDS, resources=place).execute()
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return "".join(output["text"] for output in outputs if output.output_type == "stream")


def code_cells(path: pathlib.Path, *, until: str | None) -> str:
    """Returns the code of the cells up to the first that contains `until`, or of all."""
    sources = [cell.source for cell in jupytext.read(path).cells if cell.cell_type == "code"]
    if until is not None:
        end = next(number for number, source in enumerate(sources) if until in source)
        sources = sources[: end + 1]
    return "\n".join(sources)


def run_cells(
    until: str | None,
    *,
    source: pathlib.Path = _TRAIN,
    content: pathlib.Path | None = None,
    **parameters,
) -> dict:
    """Runs the first cells in this process, with other parameters; returns all variables.

    Args:
        until: As of `code_cells`.
        source: The notebook.
        content: What stands for Colab's folder /content.
        **parameters: Settings of section 1.
    """
    names = {}
    form = code_cells(source, until="# @markdown")
    exec(form, names)
    assert parameters.keys() <= names.keys()
    names.update(parameters)
    # The parameters' own cell must not run again.
    code = code_cells(source, until=until)[len(form) :]
    exec(code if content is None else code.replace("/content", str(content)), names)
    return names


def shown_by(display: mock.Mock) -> list[tuple[int, int]]:
    """Returns (width, height) of the pictures that cells have shown."""
    sizes = []
    for call in display.call_args_list:
        if isinstance(call.args[0], IPython.display.Image):
            with Image.open(io.BytesIO(call.args[0].data)) as picture:
                sizes.append(picture.size)
    return sizes


def cell_of(path: pathlib.Path, text: str) -> str:
    """Returns the code of the one cell that contains a text."""
    cells = [cell.source for cell in jupytext.read(path).cells if cell.cell_type == "code"]
    (found,) = [source for source in cells if text in source]
    return found


@pytest.fixture
def stubs():
    with tiny_training.stub_networks():
        yield


@pytest.fixture
def colab(monkeypatch):
    module = types.ModuleType("google.colab")
    module.drive, module.files, module.output = mock.Mock(), mock.Mock(), mock.Mock()
    monkeypatch.setitem(sys.modules, "google.colab", module)
    return module


def _make_page(workdir: pathlib.Path, site: pathlib.Path) -> None:
    site.mkdir()
    (site / serve.DESCRIPTION).write_text("{}")
    (site / "index.html").write_text("Draw here")


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The training's notebook, run once for all that look at the results."""
    done = types.SimpleNamespace(folder=tmp_path_factory.mktemp("run"))
    text = io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(pytest.MonkeyPatch.context()).chdir(done.folder)
        stack.enter_context(tiny_training.stub_networks())
        stack.enter_context(contextlib.redirect_stdout(text))
        done.display = stack.enter_context(mock.patch.object(IPython.display, "display"))
        # Converting is slow; a kernel does it below.
        output = np.zeros((1, 32, 32, 3), np.float32)
        for module in (tflite, onnx):
            convert = stack.enter_context(mock.patch.object(module, "convert"))
            convert.side_effect = lambda version, path, **options: path.touch()
        done.phone = stack.enter_context(mock.patch.object(tflite, "LiteRtModel"))
        done.phone().run.return_value = dict(output=output)
        stack.enter_context(mock.patch.object(session, "open_session"))
        stack.enter_context(mock.patch.object(session, "run", return_value=output))
        stack.enter_context(mock.patch.object(assemble, "assemble", side_effect=_make_page))
        done.names = run_cells(None, SETTINGS=_TINY, NUM_SAMPLES=2, COMPARE_STEPS=2)
    done.text = text.getvalue()
    yield done
    done.names["server"].shutdown()
    done.names["server"].server_close()


class TestRun:
    def test_trains_and_shows(self, executed):
        records = (executed.folder / "runs" / "demo" / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(record)["step"] for record in records] == [1, 2, 3, 4]
        assert "AtoB, 4 steps of 1" in executed.text
        shown = shown_by(executed.display)
        # A column is 32 pixels wide and 4 from the next; 22 are for the titles.
        two_rows, row = 22 + 36 + 32, 22 + 32
        widths = [36 * columns - 4 for columns in range(8)]
        assert shown[:2] == 2 * [(widths[4], two_rows)]  # Jitter, and a batch.
        # The U-Net; while it trains; grids of steps 0, 2 and 4; losses; two maps of logits.
        assert shown[10:] == [
            *[(widths[4], 22 + 3 * 36 - 4)],  # Input, L1 alone, L1 + GAN, target.
            *(4 * [(widths[4], row)]),  # Held-out pairs with two samples.
            *[(widths[5], row)],  # Input, three draws, their differences.
            *[(widths[4], row)],  # Input, SavedModel, TFLite, ONNX.
        ]

    def test_replaces_the_picture_while_it_trains(self, executed):
        handles = [call for call in executed.display.call_args_list if call.kwargs]
        assert [call.kwargs for call in handles] == [dict(display_id=True)]
        executed.display.return_value.update.assert_called_once()  # Step 4 in place of step 2.

    def test_compares_two_small_runs(self, executed):
        found = re.findall(r"L1 (alone|\+ GAN): L1 distance to 16 held-out targets", executed.text)
        assert found == ["alone", "+ GAN"]
        small = executed.names["small"]
        assert (small.crop_size, small.load_size, small.num_steps) == (32, 36, 2)

    def test_leaves_the_small_runs_out_if_told(self, executed):
        names = {**executed.names, "COMPARE_STEPS": 0, "train": mock.Mock()}
        exec(cell_of(_TRAIN, "small = dataclasses"), names)
        names["train"].assert_not_called()

    def test_samples_of_an_image_differ(self, executed):
        firsts = list((executed.folder / "runs" / "demo" / "translations").glob("*_1.png"))
        assert len(firsts) == 4
        for first in firsts:
            second = first.with_name(first.name.replace("_1.png", "_2.png"))
            assert first.read_bytes() != second.read_bytes()

    def test_draws_the_same_with_the_same_noise(self, executed):
        assert "Same z: differs by 0.0 at most." in executed.text
        assert executed.names["spread"].max() > 0

    def test_exports_and_makes_an_archive(self, executed):
        assert "signatures encoded, serving_default, with_noise." in executed.text
        (difference,) = re.findall(r"the run differ by (\S+) at most", executed.text)
        assert float(difference) < 1e-5
        with zipfile.ZipFile(executed.folder / "runs" / "demo_savedmodel.zip") as archive:
            assert archive.testzip() is None
            names = set(archive.namelist())
        files = {"saved_model.pb", "variables/variables.index"}
        assert {f"demo_savedmodel/1/{name}" for name in files} <= names
        assert {"demo.tflite", "demo.onnx"} <= names

    def test_shows_the_drawing_page_in_a_frame(self, executed, monkeypatch):
        monkeypatch.chdir(executed.folder)
        address = f"http://localhost:{executed.names['server'].server_port}"
        frames = [call.args[0] for call in executed.display.call_args_list]
        (frame,) = [frame for frame in frames if isinstance(frame, IPython.display.IFrame)]
        assert frame.src == address
        with urllib.request.urlopen(address) as page:
            assert page.read() == b"Draw here"

    def test_says_why_there_is_no_page(self, executed, monkeypatch, capsys, tmp_path):
        reason = InputError("There is no LiteRT.js")
        monkeypatch.setattr(assemble, "assemble", mock.Mock(side_effect=reason))
        monkeypatch.chdir(tmp_path)
        names = dict(executed.names)
        exec(cell_of(_TRAIN, "assemble.assemble("), names)
        assert capsys.readouterr().out == "No page: There is no LiteRT.js\n"

    def test_fetches_the_page_s_runtime_in_colab_and_shows_its_frame(
        self, executed, colab, monkeypatch, tmp_path
    ):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "runs").mkdir()
        monkeypatch.setattr(assemble, "assemble", _make_page)
        monkeypatch.setattr(shutil, "which", lambda program: f"/usr/bin/{program}")
        monkeypatch.setattr(programs, "RUNNER", tmp_path)  # Without node_modules.
        done = subprocess.CompletedProcess([], returncode=0)
        with mock.patch.object(subprocess, "run", return_value=done) as run:
            names = {**executed.names, "drive": colab.drive}
            exec(cell_of(_TRAIN, "assemble.assemble("), names)
        with names["server"] as server:
            server.shutdown()
        assert run.call_args.args == (programs.install_command(),)
        frame = colab.output.serve_kernel_port_as_iframe
        frame.assert_called_once_with(server.server_port, height="900")

    def test_resumes_when_run_again_uploads_and_downloads_in_colab(
        self, executed, colab, stubs, tmp_path, monkeypatch
    ):
        shutil.copytree(executed.folder / "runs", tmp_path / "runs")
        monkeypatch.chdir(tmp_path)
        translated = tmp_path / "runs" / "demo" / "translations"
        shutil.copy(next(translated.glob("*.png")), "mine.png")
        colab.files.upload.return_value = {"mine.png": pathlib.Path("mine.png").read_bytes()}
        settings = dict(SETTINGS={**_TINY, "num_steps": 5}, IMAGES="upload", COMPARE_STEPS=0)
        with mock.patch.object(loop, "train") as train:  # Which has tests of resuming.
            names = run_cells("saved_model = ", **settings)
        train.assert_called_once_with(
            names["config"], pathlib.Path("runs/demo"), actions=[mock.ANY]
        )
        assert names["config"].num_steps == 5
        made = sorted(path.name for path in translated.glob("mine_*"))
        assert made == ["mine_1.png", "mine_2.png", "mine_3.png"]
        names["made"] = []
        exec(cell_of(_TRAIN, "make_archive("), names)
        (downloaded,) = colab.files.download.call_args.args
        with zipfile.ZipFile(downloaded) as content:
            assert {name.split("/")[1] for name in content.namelist()} == {"1"}

    def test_shows_tensorboard_in_a_notebook(self, executed):
        shell = mock.Mock()
        names = dict(executed.names, get_ipython=lambda: shell)
        exec(cell_of(_TRAIN, "run_line_magic"), names)
        calls = [call.args for call in shell.run_line_magic.call_args_list]
        assert calls == [
            ("load_ext", "tensorboard"),
            ("tensorboard", f"--logdir '{pathlib.Path('runs/demo')}'"),
        ]
        names["TENSORBOARD"] = False
        shell.reset_mock()
        exec(cell_of(_TRAIN, "run_line_magic"), names)
        shell.run_line_magic.assert_not_called()


class TestExplanations:
    def test_losses_are_those_of_the_package(self, executed):
        random = np.random.RandomState(0)
        real, fake = (tf.constant(random.normal(size=[2, 30, 30, 1]), tf.float32) for _ in "ab")
        image, target = (tf.constant(random.uniform(-1, 1, [2, 8, 8, 3]), tf.float32) for _ in "ab")
        of_d = executed.names["discriminator_loss"](real, fake)
        np.testing.assert_allclose(of_d, losses.discriminator_loss(real, fake), rtol=1e-5)
        config = TrainConfig()
        seen = objective.Seen(source=image, target=target, fake=image, fake_logits=fake)
        total, _ = objective.evaluate(objective.build(config), seen)
        of_g = executed.names["generator_loss"](fake, image, target)
        np.testing.assert_allclose(of_g, total, rtol=1e-5)
        other = dataclasses.replace(config, lambda_l1=10.0)
        total, _ = objective.evaluate(objective.build(other), seen)
        of_g = executed.names["generator_loss"](fake, image, target, lambda_l1=10.0)
        np.testing.assert_allclose(of_g, total, rtol=1e-5)

    def test_counts_the_operations_of_the_default_networks(self, capsys):
        with mock.patch.object(IPython.display, "display"):
            names = run_cells("def forward_operations")
        # docs/speed.md has the same from another count.
        assert round(names["operations"] / 1e9) == 87
        text = capsys.readouterr().out
        assert "Estimated, not measured, on a T4" in text
        # 87e9 / 6.5e12 s of computing and 5 ms of starting for each of 10,000 steps, in minutes.
        assert re.search(r"^demo +10,000 steps of 1: +3 to +11 minutes$", text, re.MULTILINE)
        assert all(re.search(f"^{name} ", text, re.M) for name in names["PRESETS"])


def _exercises() -> list[tuple[str, str, str]]:
    """Returns of each exercise the cell to fill in, the one that checks, and the solution."""
    cells = jupytext.read(_TRAIN).cells
    found = []
    for number, cell in enumerate(cells):
        if "exercise" in cell.metadata.get("tags", []):
            check = cells[number + 1].source
            solution = re.search(
                r"<details><summary>Solution</summary>\n\n```python\n(.*?)```",
                cells[number + 2].source,
                re.DOTALL,
            )
            found.append((cell.source, check, solution[1]))
    return found


class TestExercises:
    WRONG = (
        "def num_weights(a, b): return a * b",
        "def field_of_input(field, stride): return stride * field + 4",
        "def least_squares(fake_logits): return tf.reduce_mean(fake_logits**2)",
        "best_step = 2 if run_folder.read_best(workdir)['step'] == 4 else 4",
        "z_without_dropout = np.zeros([1, noise_size], np.float32)",
    )

    def answer(self, executed, capsys, monkeypatch, answer: str, check: str) -> str:
        """Returns what the check says of an answer."""
        monkeypatch.chdir(executed.folder)
        names = dict(executed.names, show=mock.Mock())
        exec(answer, names)
        exec(check, names)
        return capsys.readouterr().out

    def test_there_are_five_and_nothing_is_filled_in(self, executed):
        assert len(_exercises()) == 5
        assert re.findall(r"^Exercise .*", executed.text, re.MULTILINE) == [
            f"Exercise {number}: not filled in yet." for number in range(1, 6)
        ]

    @pytest.mark.parametrize("number", range(1, 6))
    def test_check_knows_right_from_wrong(self, executed, capsys, monkeypatch, number):
        _, check, solution = _exercises()[number - 1]
        say = lambda answer: self.answer(executed, capsys, monkeypatch, answer, check)  # noqa: E731
        assert say(solution) == f"Exercise {number}: right!\n"
        assert say(self.WRONG[number - 1]) == f"Exercise {number}: not right yet.\n"

    def test_an_answer_that_fails_stops_nothing(self, executed, capsys, monkeypatch):
        answer = "def num_weights(a, b): return 1 / 0"
        said = self.answer(executed, capsys, monkeypatch, answer, _exercises()[0][1])
        assert said == "Exercise 1: not right yet (ZeroDivisionError: division by zero).\n"


class TestSettings:
    PRESET = "PRESETS ="

    def test_defaults_train_the_demo_set(self):
        names = run_cells(self.PRESET)
        assert (names["config"].dataset, names["config"].precision) == (pairs.DEMO, "auto")
        assert names["workdir"] == pathlib.Path("runs/demo")

    def test_takes_the_direction_of_the_paper(self):
        config = run_cells(self.PRESET, DATASET="facades")["config"]
        assert config.direction == registry.PUBLISHED["facades"].direction == "BtoA"
        config = run_cells(self.PRESET, DATASET="facades", DIRECTION="AtoB")["config"]
        assert config.direction == "AtoB"

    def test_takes_a_folder_and_names_the_run_after_it(self):
        names = run_cells(self.PRESET, DATASET="/data/my_pairs", NUM_STEPS=7, RUNS="kept")
        assert (names["config"].dataset, names["config"].num_steps) == ("/data/my_pairs", 7)
        assert names["workdir"] == pathlib.Path("kept/my_pairs")

    @pytest.mark.parametrize(("settings", "num_steps"), [({}, 600), ({"batch_size": 2}, 300)])
    def test_own_pairs_are_seen_200_times(self, tmp_path, settings, num_steps):
        (tmp_path / "train").mkdir()
        for number in range(3):
            Image.new("RGB", (64, 32)).save(tmp_path / "train" / f"{number}.png")
        names = run_cells(self.PRESET, DATASET=str(tmp_path), SETTINGS=settings)
        assert names["config"].num_steps == num_steps

    def test_other_settings_win_and_are_checked(self):
        assert run_cells(self.PRESET, SETTINGS={"batch_size": 8})["config"].batch_size == 8
        with pytest.raises(InputError, match="'bacth_size'.*'batch_size'"):
            run_cells(self.PRESET, SETTINGS={"bacth_size": 8})

    def test_refuses_images_that_are_not_there_before_training(self):
        with pytest.raises(InputError, match="'typo'"):
            run_cells(self.PRESET, IMAGES="typo")
        with pytest.raises(ValueError, match="'upload'"):  # Which only Colab can do.
            run_cells(self.PRESET, IMAGES="upload")

    def test_keeps_runs_on_drive_once_it_is_connected(self, colab, tmp_path):
        def mount(folder):
            (pathlib.Path(folder) / "MyDrive").mkdir(parents=True)

        colab.drive.mount.side_effect = mount
        names = run_cells(self.PRESET, content=tmp_path, USE_DRIVE=True)
        assert names["workdir"] == tmp_path / "drive" / "MyDrive" / "pix2pix" / "demo"
        names = run_cells(self.PRESET, content=tmp_path, RUNS="here")
        assert names["workdir"] == pathlib.Path("here/demo")

    def test_a_run_that_was_begun_here_goes_on_on_drive(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        names = run_cells(self.PRESET, content=tmp_path)
        names["workdir"].mkdir(parents=True)
        names["config"].save(names["workdir"])
        (tmp_path / "drive" / "MyDrive").mkdir(parents=True)  # Connected later.
        names = run_cells(self.PRESET, content=tmp_path)
        assert names["workdir"] == tmp_path / "drive" / "MyDrive" / "pix2pix" / "demo"
        assert (names["workdir"] / "config.json").is_file()
        assert "Copied the run" in capsys.readouterr().out

    def test_form_offers_every_data_set_and_each_has_a_preset(self):
        names = [pairs.DEMO, *registry.PUBLISHED]
        (choices,) = re.findall(r"^DATASET = .*# @param (\[.*\])", _TRAIN.read_text(), re.MULTILINE)
        assert json.loads(choices) == names
        assert list(run_cells(self.PRESET)["PRESETS"]) == names


class TestInstall:
    ADDRESS = "git+https://example.com/project"
    WHEEL = "pix2pix_tf-0.2.0-py3-none-any.whl"

    @pytest.fixture
    def pip(self, monkeypatch):
        """Makes the package look absent."""
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        done = subprocess.CompletedProcess([], returncode=0, stderr="")
        with mock.patch.object(subprocess, "run", return_value=done) as run:
            yield run

    def install(self, folder: pathlib.Path, **parameters) -> dict:
        return run_cells(_INSTALL, content=folder, **parameters)

    def write(self, path: pathlib.Path, *, age: int = 0) -> pathlib.Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"wheel")
        os.utime(path, (1e9 - age, 1e9 - age))
        return path

    def test_is_the_same_cell_everywhere(self):
        assert len({cell_of(path, _INSTALL) for path in _SOURCES}) == 1

    @pytest.mark.parametrize("setting", ["DATASET", "RUNS", "IMAGES", "REPOSITORY"], ids=str.lower)
    def test_connects_drive_where_it_is_asked_for(self, colab, tmp_path, setting):
        self.install(tmp_path)
        colab.drive.mount.assert_not_called()
        drive = f"{tmp_path}/drive"
        self.install(tmp_path, **{setting: f"{drive}/MyDrive/some"})
        colab.drive.mount.assert_called_once_with(drive)
        colab.drive.mount.reset_mock()
        self.install(tmp_path, USE_DRIVE=True)
        colab.drive.mount.assert_called_once_with(drive)

    def test_connects_drive_for_other_settings(self, colab, tmp_path):
        self.install(tmp_path, SETTINGS={"data_dir": f"{tmp_path}/drive/MyDrive/data"})
        colab.drive.mount.assert_called_once_with(f"{tmp_path}/drive")

    def test_a_folder_of_that_name_is_not_an_installation(self, colab, pip, tmp_path, monkeypatch):
        folder = importlib.machinery.ModuleSpec("pix2pix_tf", None)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: folder)
        self.write(tmp_path / self.WHEEL)
        self.install(tmp_path)
        pip.assert_called_once()

    def test_does_nothing_where_it_is_installed(self, tmp_path):
        self.write(tmp_path / self.WHEEL)
        with mock.patch.object(subprocess, "run") as run:
            self.install(tmp_path)
        run.assert_not_called()

    @pytest.mark.parametrize("place", ["", "drive/MyDrive", "drive/MyDrive/pix2pix"])
    @pytest.mark.parametrize("name", [WHEEL, "pix2pix_tf-main.zip"])
    def test_takes_the_newest_file_that_is_there(self, colab, pip, tmp_path, place, name):
        self.write(tmp_path / "pix2pix_tf-0.1.0-py3-none-any.whl", age=10)
        self.write(tmp_path / "demo_savedmodel.zip", age=-10)  # A model, and not the project.
        newest = self.write(tmp_path / place / name)
        self.install(tmp_path, REPOSITORY=self.ADDRESS)
        (command,) = pip.call_args.args
        assert command[:4] == [sys.executable, "-m", "pip", "install"]
        # Colab's TensorFlow stays.
        assert command[-2:] == ["--no-deps", str(newest)]
        colab.files.upload.assert_not_called()

    def test_then_the_address_and_then_what_is_uploaded(self, colab, pip, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        self.install(tmp_path, REPOSITORY=self.ADDRESS)
        assert pip.call_args.args[0][-1] == self.ADDRESS
        colab.files.upload.assert_not_called()
        colab.files.upload.return_value = {self.WHEEL: b"wheel"}
        self.install(tmp_path)
        assert pip.call_args.args[0][-1] == str(tmp_path / self.WHEEL)

    def test_keeps_the_file_on_drive(self, colab, pip, tmp_path, capsys):
        drive = tmp_path / "drive" / "MyDrive"
        drive.mkdir(parents=True)
        self.write(tmp_path / self.WHEEL)
        self.install(tmp_path)
        assert (drive / "pix2pix" / self.WHEEL).read_bytes() == b"wheel"
        assert "is found next time" in capsys.readouterr().out
        (tmp_path / self.WHEEL).unlink()  # After a disconnect.
        self.install(tmp_path)
        assert pip.call_args.args[0][-1] == str(drive / "pix2pix" / self.WHEEL)
        assert "Copied" not in capsys.readouterr().out

    def test_says_what_is_missing(self, colab, pip, tmp_path, monkeypatch):
        colab.files.upload.return_value = {}  # The button's "Cancel".
        with pytest.raises(FileNotFoundError, match=r"pix2pix_tf-VERSION.*make wheel"):
            self.install(tmp_path)
        pip.assert_not_called()
        monkeypatch.delitem(sys.modules, "google.colab")
        with pytest.raises(FileNotFoundError, match="REPOSITORY, in section 1"):
            self.install(tmp_path)

    def test_outside_colab_brings_what_the_project_needs(self, pip, tmp_path):
        self.install(tmp_path, REPOSITORY=self.ADDRESS)
        assert pip.call_args.args[0][-2:] == ["--quiet", self.ADDRESS]

    def test_says_what_pip_says(self, pip, tmp_path):
        pip.return_value = subprocess.CompletedProcess([], returncode=1, stderr="no such address")
        with pytest.raises(RuntimeError, match="(?s)'git.https://.*no such address"):
            self.install(tmp_path, REPOSITORY=self.ADDRESS)

    @slow_on_classic
    def test_installs_a_wheel(self, tmp_path):
        """Built of a zip by git archive, in a Python of its own."""
        if not (_REPOSITORY / ".git").exists():
            pytest.skip("this copy of the project is not a checkout of git")
        pytest.importorskip("setuptools", minversion="77")
        # Builds with the setuptools at hand: tests ask for nothing from the network.
        environment = {**os.environ, "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1"}
        archive, content = tmp_path / "pix2pix_tf.zip", tmp_path / "content"
        command = ["git", "archive", "--format=zip", "-o", archive, "HEAD"]
        subprocess.run(command, cwd=_REPOSITORY, check=True)
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
        subprocess.run([*pip, "-w", content, archive], env=environment, check=True)
        with zipfile.ZipFile(archive) as source, zipfile.ZipFile(*content.iterdir()) as wheel:
            files = {re.sub("^export/", "pix2pix_tf/export/", name) for name in source.namelist()}
            files = {name for name in files if re.match("pix2pix_tf/.*[^/]$", name)}
            assert files == {name for name in wheel.namelist() if ".dist-info/" not in name}
        venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
        python = tmp_path / "venv" / "bin" / "python"
        # All that is installed here, but not the project, which setups for development find
        # by code in a .pth file: those of a folder that a .pth file names are not read.
        own_site = next((tmp_path / "venv" / "lib").glob("python*")) / "site-packages"
        (own_site / "installed.pth").write_text(sysconfig.get_path("purelib"))
        colab = tmp_path / "fake_colab" / "google" / "colab"
        colab.mkdir(parents=True)
        (colab / "__init__.py").write_text("drive, files = object(), None\n")
        code = code_cells(_TRAIN, until=_INSTALL).replace("/content", str(content))
        imported = "from pix2pix_tf.export.web import assemble\nprint(assemble.__file__)"
        answer = subprocess.run(
            [python, "-c", f"{code}\n{imported}"],
            cwd=tmp_path,
            env={**environment, "PYTHONPATH": str(tmp_path / "fake_colab")},
            capture_output=True,
            text=True,
        )
        assert answer.returncode == 0, answer.stderr
        version, path = answer.stdout.splitlines()
        assert version.startswith("pix2pix_tf ")
        assert pathlib.Path(path).is_relative_to(own_site)


@slow_on_classic
def test_trains_and_exports_in_a_kernel(tmp_path, monkeypatch):
    """With real networks; the second notebook takes the first one's zip to every form."""
    monkeypatch.setenv("PYTHONPATH", str(_REPOSITORY), prepend=os.pathsep)
    settings = dict(SETTINGS=_TINY, NUM_SAMPLES=2, COMPARE_STEPS=0, TENSORBOARD=False)
    parameters = "\n".join(f"{name} = {value!r}" for name, value in settings.items())
    text = run_notebook(_TRAIN, tmp_path, parameters=parameters)
    assert float(re.search(r"the run differ by (\S+) at most", text)[1]) < 1e-5
    differences = dict(re.findall(r"(TFLite|ONNX) differs from the SavedModel by (\S+) grey", text))
    assert differences.keys() == {"TFLite", "ONNX"}
    assert all(float(difference) < 0.1 for difference in differences.values())
    has_runtime = (programs.RUNNER / "node_modules" / "@litertjs").is_dir()
    assert ("The page is at http://localhost:" in text) == has_runtime
    assert ("No page: " in text) != has_runtime
    shutil.copy(tmp_path / "runs" / "demo_savedmodel.zip", tmp_path)
    text = run_notebook(_EXPORT, tmp_path, parameters='TFLITE = "none"')
    assert float(re.search(r"Differs from the SavedModel by (\S+) at most", text)[1]) < 1e-4
    with zipfile.ZipFile(tmp_path / "exported.zip") as archive:
        names = set(archive.namelist())
    assert {"saved_model/1/saved_model.pb", "none.tflite", "answer.png"} <= names


@pytest.mark.slow
def test_fine_tunes_the_shipped_model_in_a_kernel(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(_REPOSITORY), prepend=os.pathsep)
    text = run_notebook(_FINE_TUNE, tmp_path, parameters="NUM_STEPS = 2")
    assert "Starts from 'houses', trained for 30,313 steps. So does the discriminator." in text
    with zipfile.ZipFile(tmp_path / "runs" / "fine_tuned_savedmodel.zip") as archive:
        assert "fine_tuned_savedmodel/1/saved_model.pb" in archive.namelist()


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """The fine-tuning notebook, run with a tiny model in the place of the shipped one."""
    done = types.SimpleNamespace(folder=tmp_path_factory.mktemp("tuned"))
    with contextlib.ExitStack() as stack:
        stack.enter_context(pytest.MonkeyPatch.context()).chdir(done.folder)
        stack.enter_context(tiny_training.stub_networks())
        done.display = stack.enter_context(mock.patch.object(IPython.display, "display"))
        tiny_runs.write_run(pathlib.Path("begun"), dropout=0.2)
        kept = ("sample_every", "checkpoint_every", "precision")
        settings = {name: _TINY[name] for name in kept}
        done.names = run_cells(
            None, source=_FINE_TUNE, START_FROM="begun", NUM_STEPS=4, SETTINGS=settings
        )
    return done


class TestFineTune:
    def test_draws_pairs_as_a_data_set_has_them(self, tuned):
        for split, count in (("train", 20), ("test", 4)):
            paths = list((tuned.folder / "night_pairs" / split).glob("*.png"))
            assert len(paths) == count
            with Image.open(paths[0]) as picture:
                assert picture.size == (2 * 36, 36)

    def test_lights_are_in_the_windows_alone(self, tuned):
        scene = tuned.names["scenes"].draw_scene(64, seed=1, index=0)
        light = tuned.names["at_night"](scene).mean(axis=-1)
        is_window = (scene.labels == tuned.names["WINDOW"]).all(axis=-1)
        assert is_window.any()
        assert light[is_window].min() > light[~is_window].mean()
        assert light[~is_window].mean() < 0.5 * scene.photo.mean()

    def test_starts_from_the_model_with_its_networks(self, tuned):
        config = TrainConfig.load(tuned.folder / "runs" / "fine_tuned")
        assert (config.init_from, config.dataset, config.num_steps) == ("begun", "night_pairs", 4)
        assert (config.crop_size, config.base_filters, config.dropout) == (32, 2, 0.2)

    def test_shows_before_and_after_and_exports(self, tuned):
        row = (4 * 36 - 4, 22 + 32)
        pairs_shown, live, *rows = shown_by(tuned.display)
        assert pairs_shown == (2 * 36 - 4, 22 + 36 + 32)
        assert rows == 4 * [row]
        # The weights have changed.
        example = tuned.names["shown"][0]
        before, after = (
            tuned.names[name].translate_example(example) for name in ("before", "after")
        )
        assert abs(before - after).max() > 0
        with zipfile.ZipFile(tuned.folder / "runs" / "fine_tuned_savedmodel.zip") as archive:
            assert "fine_tuned_savedmodel/1/saved_model.pb" in archive.namelist()

    def test_takes_pairs_of_the_reader(self, stubs, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        tiny_runs.write_run(tmp_path / "begun")
        tiny_training.write_pairs(tmp_path / "mine", train=2, test=1)
        settings = dict(PAIRS="mine", DIRECTION="BtoA", START_FROM="begun")
        with mock.patch.object(IPython.display, "display") as display:
            names = run_cells("init_from=", source=_FINE_TUNE, **settings)
        assert (names["config"].dataset, names["config"].direction) == ("mine", "BtoA")
        assert not (tmp_path / "night_pairs").exists()
        assert len(shown_by(display)) == 1


class TestExport:
    """The notebook that converts a model."""

    @pytest.fixture(autouse=True)
    def _in_a_folder_of_its_own(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)

    def run(self, until: str | None, **parameters) -> dict:
        """Runs its first cells, or all, in this process; returns all variables."""
        return run_cells(until, source=_EXPORT, **{"MODEL": "runs/demo", **parameters})

    def test_takes_a_model_to_every_form(self, tmp_path):
        earlier = tmp_path / "forms" / "saved_model" / "1"
        earlier.mkdir(parents=True)
        (earlier / "saved_model.pb").touch()
        with (
            mock.patch.object(tflite, "convert") as to_tflite,
            mock.patch.object(tfjs, "convert") as to_tfjs,
            mock.patch.object(tflite, "LiteRtModel") as phone,
            mock.patch.object(IPython.display, "display") as display,
        ):
            to_tflite.side_effect = lambda version, path, **options: path.touch()
            to_tfjs.side_effect = lambda version, folder, **options: folder.mkdir()
            phone().run.return_value = dict(output=np.zeros((1, 32, 32, 3), np.float32))
            model = str(tiny_runs.shared_version().parent)
            data = dict(DATASET="demo", DATA_DIR="there")
            names = self.run(None, MODEL=model, OUTPUT="forms", TFLITE="int8", **data)
        version, size = pathlib.Path("forms/saved_model/2"), (32, 32)
        to_tflite.assert_called_once_with(
            *(version, pathlib.Path("forms/int8.tflite")),
            **dict(quantize="int8", dataset="demo", data_dir="there", size=size),
        )
        to_tfjs.assert_called_once_with(
            version, pathlib.Path("forms/tfjs_float16"), quantize="float16", size=size
        )
        given = phone().run.call_args.kwargs
        assert (given["image"].shape, given["z"].shape) == ((1, 32, 32, 3), names["z"].shape)
        assert len(shown_by(display)) == 3
        with zipfile.ZipFile(tmp_path / "forms.zip") as archive:
            packed = archive.namelist()
        assert {"saved_model/2/saved_model.pb", "int8.tflite", "answer.png"} <= set(packed)
        assert not any(name.startswith("saved_model/1") for name in packed)

    @pytest.mark.parametrize(
        ("settings", "channels", "shown"),
        [
            (dict(color_space="lab", input_channels=1, output_channels=2), 1, (32, 32, 3)),
            (dict(crop_width=64, input_channels=5, output_channels=2), 5, (32, 64, 2)),
            (dict(output_range="0,1"), 3, (32, 32, 3)),
        ],
        ids=["colorization", "arrays", "values"],
    )
    def test_shows_models_of_other_settings(
        self, settings, channels, shown, stubs, tmp_path, capsys
    ):
        tiny_runs.write_run(tmp_path / "runs" / "demo", dataset="/not/here", **settings)
        with mock.patch.object(grids, "row_as_png", wraps=grids.row_as_png) as row_as_png:
            names = self.run("translate_encoded(")
        assert "drawn scene" in capsys.readouterr().out  # Since the pairs are not here.
        assert names["image"].shape[-1] == channels
        (pictures,) = row_as_png.call_args.args
        assert pictures["one draw"].shape == pictures["another"].shape == shown
        # Only colorization, of these, takes and makes pictures.
        assert len(names["answers"]) == ("color_space" in settings)

    def test_takes_the_zip_of_the_other_notebook(self, executed, tmp_path):
        shutil.copy(executed.folder / "runs" / "demo_savedmodel.zip", tmp_path)
        names = self.run("served =", MODEL="demo_savedmodel.zip")
        assert names["version"] == pathlib.Path("exported/saved_model/1")
        assert names["model"].step == 4

    def test_default_is_the_zip_of_the_defaults_of_the_other_notebook(self):
        names = run_cells(TestSettings.PRESET)
        exec(code_cells(_EXPORT, until="MODEL ="), form := {})
        assert form["MODEL"] == f"{names['workdir'].name}_savedmodel.zip"

    def test_stops_where_no_model_is(self):
        with pytest.raises(FileNotFoundError, match=r"'demo_savedmodel\.zip'"):
            self.run("There is no '{MODEL}'", MODEL="demo_savedmodel.zip")


@pytest.mark.parametrize("path", _SOURCES, ids=lambda path: path.stem)
class TestSource:
    def test_notebook_is_generated_from_it(self, path):
        def content(notebook):
            cells = [(cell.cell_type, cell.source, dict(cell.metadata)) for cell in notebook.cells]
            metadata = {name: notebook.metadata.get(name) for name in ("accelerator", "colab")}
            return cells, metadata

        generated, source = jupytext.read(path.with_suffix(".ipynb")), jupytext.read(path)
        assert content(generated) == content(source), f"Run: {_GENERATE}"

    def test_notebook_is_valid_and_has_no_outputs(self, path):
        notebook = nbformat.read(path.with_suffix(".ipynb"), as_version=nbformat.NO_CONVERT)
        nbformat.validate(notebook)
        # Generating it keeps outputs, as it keeps all that is not in the source.
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        kept = [cell for cell in cells if cell.outputs or cell.execution_count]
        assert not kept, f"Saved after a run. Restore it with git, then run: {_GENERATE}"

    def test_opens_in_colab_with_a_gpu_where_it_trains(self, path):
        notebook = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
        assert notebook.metadata.get("accelerator") == (None if path == _EXPORT else "GPU")
        assert notebook.metadata["colab"]["name"] == path.with_suffix(".ipynb").name
        assert "OWNER" not in path.read_text()  # A link to nowhere.
