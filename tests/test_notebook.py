"""Tests of the notebooks: run from start to end, and read.

Most run the cells in this process, with networks of two layers. One runs both notebooks as
they are, in a kernel.
"""

from __future__ import annotations

import contextlib
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
import tiny_runs
import tiny_training
from PIL import Image

from export import tfjs, tflite
from pix2pix_tf import grids
from pix2pix_tf.data import pairs, registry
from pix2pix_tf.errors import InputError
from pix2pix_tf.training import loop

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_FOLDER = _REPOSITORY / "notebooks"
_SOURCES = sorted(_FOLDER.glob("*.py"))
_TRAIN = _FOLDER / "train_pix2pix.py"
_EXPORT = _FOLDER / "export_and_serve.py"
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


def run_cells(until: str | None, *, source: pathlib.Path = _TRAIN, **parameters) -> dict:
    """Runs the first cells in this process, with other parameters; returns all variables."""
    names = {}
    form = code_cells(source, until="# @markdown")
    exec(form, names)
    assert parameters.keys() <= names.keys()
    names.update(parameters)
    # The parameters' own cell must not run again.
    exec(code_cells(source, until=until)[len(form) :], names)
    return names


def shown_by(display: mock.Mock) -> list[tuple[int, int]]:
    """Returns (width, height) of the pictures that cells have shown."""
    sizes = []
    for call in display.call_args_list:
        with Image.open(io.BytesIO(call.args[0].data)) as picture:
            sizes.append(picture.size)
    return sizes


@pytest.fixture
def stubs():
    with tiny_training.stub_networks():
        yield


@pytest.fixture
def colab(monkeypatch):
    module = types.ModuleType("google.colab")
    module.drive, module.files = mock.Mock(), mock.Mock()
    monkeypatch.setitem(sys.modules, "google.colab", module)
    return module


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
        run_cells(None, SETTINGS=_TINY, NUM_SAMPLES=2)
    done.text = text.getvalue()
    return done


class TestRun:
    def test_trains_and_shows(self, executed):
        records = (executed.folder / "runs" / "demo" / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(record)["step"] for record in records] == [1, 2, 3, 4]
        assert "AtoB, 4 steps of 1" in executed.text
        # Grids of steps 0, 2 and 4; losses; four held-out pairs; the export.
        shown = shown_by(executed.display)
        assert len(shown) == 3 + 1 + 4 + 1
        # 22 for the titles, 4 between images: input, target and two samples; input and two outputs.
        assert shown[4:] == 4 * [(4 * 36 - 4, 22 + 32)] + [(3 * 36 - 4, 22 + 32)]

    def test_samples_of_an_image_differ(self, executed):
        firsts = list((executed.folder / "runs" / "demo" / "translations").glob("*_1.png"))
        assert len(firsts) == 4
        for first in firsts:
            second = first.with_name(first.name.replace("_1.png", "_2.png"))
            assert first.read_bytes() != second.read_bytes()

    def test_exports_and_makes_an_archive(self, executed):
        assert "signatures encoded, serving_default, with_noise." in executed.text
        (difference,) = re.findall(r"the run differ by (\S+) at most", executed.text)
        assert float(difference) < 1e-5
        with zipfile.ZipFile(executed.folder / "runs" / "demo_savedmodel.zip") as archive:
            assert archive.testzip() is None
            assert "demo_savedmodel/1/saved_model.pb" in archive.namelist()
            assert "demo_savedmodel/1/variables/variables.index" in archive.namelist()

    def test_resumes_when_run_again_uploads_and_downloads_in_colab(
        self, executed, colab, stubs, tmp_path, monkeypatch
    ):
        shutil.copytree(executed.folder / "runs", tmp_path / "runs")
        monkeypatch.chdir(tmp_path)
        translated = tmp_path / "runs" / "demo" / "translations"
        shutil.copy(next(translated.glob("*.png")), "mine.png")
        colab.files.upload.return_value = {"mine.png": pathlib.Path("mine.png").read_bytes()}
        with mock.patch.object(loop, "train") as train:  # Which has tests of resuming.
            names = run_cells(None, SETTINGS={**_TINY, "num_steps": 5}, IMAGES="upload")
        train.assert_called_once_with(names["config"], pathlib.Path("runs/demo"))
        assert names["config"].num_steps == 5
        made = sorted(path.name for path in translated.glob("mine_*"))
        assert made == ["mine_1.png", "mine_2.png", "mine_3.png"]
        (downloaded,) = colab.files.download.call_args.args
        with zipfile.ZipFile(downloaded) as content:
            assert {name.split("/")[1] for name in content.namelist()} == {"2"}


class TestSettings:
    SETUP, PRESET = "import tensorflow", "PRESETS ="
    ADDRESS = "git+https://example.com/project"

    @pytest.fixture
    def pip(self, monkeypatch):
        """Makes the package look absent, and pip fail."""
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        failed = subprocess.CompletedProcess([], returncode=1, stderr="no such address")
        with mock.patch.object(subprocess, "run", return_value=failed) as run:
            yield run

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

    def test_other_settings_win_and_are_checked(self):
        assert run_cells(self.PRESET, SETTINGS={"batch_size": 8})["config"].batch_size == 8
        with pytest.raises(InputError, match="'bacth_size'.*'batch_size'"):
            run_cells(self.PRESET, SETTINGS={"bacth_size": 8})

    def test_refuses_images_that_are_not_there_before_training(self):
        with pytest.raises(InputError, match="'typo'"):
            run_cells(self.PRESET, IMAGES="typo")
        with pytest.raises(ValueError, match="'upload'"):  # Which only Colab can do.
            run_cells(self.PRESET, IMAGES="upload")

    @pytest.mark.parametrize("parameter", ["DATASET", "RUNS", "IMAGES"])
    def test_connects_drive_where_a_path_is_on_it(self, colab, parameter):
        run_cells(self.SETUP)
        colab.drive.mount.assert_not_called()
        run_cells(self.SETUP, **{parameter: "/content/drive/MyDrive/some"})
        colab.drive.mount.assert_called_once_with("/content/drive")

    def test_installs_in_colab_without_touching_what_is_there(self, colab, pip, monkeypatch):
        with pytest.raises(RuntimeError, match="(?s)'git.https://.*no such address"):
            run_cells(self.SETUP, REPOSITORY=self.ADDRESS)
        (command,) = pip.call_args.args
        assert command[:4] == [sys.executable, "-m", "pip", "install"]
        assert command[-2:] == ["--no-deps", self.ADDRESS]
        pip.reset_mock()
        with pytest.raises(FileNotFoundError, match=r"'some\.zip'.*git archive"):
            run_cells(self.SETUP, REPOSITORY="some.zip")
        pip.assert_not_called()

    def test_form_offers_every_data_set_and_each_has_a_preset(self):
        names = [pairs.DEMO, *registry.PUBLISHED]
        (choices,) = re.findall(r"^DATASET = .*# @param (\[.*\])", _TRAIN.read_text(), re.MULTILINE)
        assert json.loads(choices) == names
        assert list(run_cells(self.PRESET)["PRESETS"]) == names


@slow_on_classic
def test_installs_a_zip_by_git_archive(tmp_path):
    """As notebooks/README.md has it, in a Python of its own."""
    installs = [code_cells(path, until="invalidate_caches") for path in _SOURCES]
    parts = {re.search(r"^if importlib.*?invalidate", code, re.M | re.S)[0] for code in installs}
    assert len(parts) == 1  # The other notebook's cell is the same, and not tried again.
    if not (_REPOSITORY / ".git").exists():
        pytest.skip("this copy of the project is not a checkout of git")
    archive = tmp_path / "pix2pix_tf.zip"
    command = ["git", "archive", "--format=zip", "-o", archive, "HEAD"]
    subprocess.run(command, cwd=_REPOSITORY, check=True)
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    # All that is installed here, but not the project, which setups for development find
    # by code in a .pth file: those of a folder that a .pth file names are not read.
    own_site = next((tmp_path / "venv" / "lib").glob("python*")) / "site-packages"
    (own_site / "installed.pth").write_text(sysconfig.get_path("purelib"))
    colab = tmp_path / "fake_colab" / "google" / "colab"
    colab.mkdir(parents=True)
    (colab / "__init__.py").write_text("drive, files = object(), None\n")
    cells = code_cells(_TRAIN, until="invalidate_caches")
    cells = cells.replace("/content/pix2pix_tf.zip", str(archive))
    # Up to the imports, which take long.
    code = f"""
{cells.partition("importlib.invalidate_caches()")[0]}
    import export.web, pix2pix_tf
    assert (pathlib.Path(export.web.__file__).parent / "site" / "index.html").is_file()
    print(export.__file__, pix2pix_tf.__file__)
"""
    answer = subprocess.run(
        [python, "-c", code],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(tmp_path / "fake_colab"),
            # Builds with the setuptools at hand: tests ask for nothing from the network.
            "PIP_NO_BUILD_ISOLATION": "0",
            "PIP_NO_INDEX": "1",
        },
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    for module in answer.stdout.split():
        assert pathlib.Path(module).is_relative_to(own_site)


@slow_on_classic
def test_both_run_in_a_kernel(tmp_path, monkeypatch):
    """With real networks; the second takes the first one's zip to every form."""
    monkeypatch.setenv("PYTHONPATH", str(_REPOSITORY), prepend=os.pathsep)
    text = run_notebook(_TRAIN, tmp_path, parameters=f"SETTINGS = {_TINY}\nNUM_SAMPLES = 2")
    assert float(re.search(r"the run differ by (\S+) at most", text)[1]) < 1e-5
    shutil.copy(tmp_path / "runs" / "demo_savedmodel.zip", tmp_path)
    text = run_notebook(_EXPORT, tmp_path, parameters='TFLITE = "none"')
    assert float(re.search(r"Differs from the SavedModel by (\S+) at most", text)[1]) < 1e-4
    with zipfile.ZipFile(tmp_path / "exported.zip") as archive:
        names = set(archive.namelist())
    assert {"saved_model/1/saved_model.pb", "none.tflite", "answer.png"} <= names


class TestExport:
    """The other notebook."""

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

    def test_stops_where_no_model_is_before_it_installs(self, monkeypatch):
        monkeypatch.setattr(importlib.util, "find_spec", mock.Mock(side_effect=AssertionError))
        with pytest.raises(FileNotFoundError, match=r"'demo_savedmodel\.zip'"):
            self.run("from export import", MODEL="demo_savedmodel.zip")


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
        assert notebook.metadata.get("accelerator") == ("GPU" if path == _TRAIN else None)
        assert notebook.metadata["colab"]["name"] == path.with_suffix(".ipynb").name
        assert "OWNER" not in path.read_text()  # A link to nowhere.
