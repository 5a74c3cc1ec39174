"""Tests of the notebooks: run from start to end, and read."""

from __future__ import annotations

import ast
import base64
import importlib.util
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import types
import venv
import zipfile
from unittest import mock

import ipykernel.kernelspec
import jupytext
import nbclient
import nbformat
import numpy as np
import pytest
import tiny_runs
from PIL import Image

from export import tflite
from pix2pix_tf.data import pairs, registry
from pix2pix_tf.errors import InputError
from pix2pix_tf.training import reports

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_FOLDER = _REPOSITORY / "notebooks"
_SOURCES = sorted(_FOLDER.glob("*.py"))
_TRAIN = _FOLDER / "train_pix2pix.py"
_EXPORT = _FOLDER / "export_and_serve.py"
_KERNEL = "this_python"
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

# What a notebook may import, beside the standard library.
_PACKAGES = {"pix2pix_tf", "export", "IPython", "matplotlib", "google.colab", "tensorflow"}
# And what it may use of TensorFlow: as the user of an exported model, not as its author.
_TENSORFLOW = {
    "tf.__version__",
    "tf.config.list_physical_devices",
    "tf.saved_model.load",
}

# Stands in for Colab's own package, and notes what is asked of it.
_FAKE_COLAB = """
import pathlib
import types

def _note(name, value):
    with open("colab.txt", "a") as file:
        file.write(f"{name} {value}\\n")

drive = types.SimpleNamespace()
files = types.SimpleNamespace(
    download=lambda path: _note("download", path),
    upload=lambda: {"mine.png": pathlib.Path("mine.png").read_bytes()},
)
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """Makes `_KERNEL` a kernel of the Python that runs the tests, and of this checkout."""
    folder = tmp_path_factory.mktemp("jupyter")
    ipykernel.kernelspec.write_kernel_spec(str(folder / "kernels" / _KERNEL))
    colab = folder / "fake_colab" / "google" / "colab"
    colab.mkdir(parents=True)
    (colab / "__init__.py").write_text(_FAKE_COLAB)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder))
        patch.setenv("JUPYTER_RUNTIME_DIR", str(folder / "runtime"))
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        patch.setenv("PYTHONPATH", str(_REPOSITORY), prepend=os.pathsep)
        yield folder


def run_notebook(source: pathlib.Path, folder: pathlib.Path, *, parameters: str):
    """Returns the executed notebook.

    Args:
        source: The `.py` beside it.
        folder: Working directory of the kernel.
        parameters: Code that comes after the cell tagged `parameters`.
    """
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    cells = notebook.cells
    position = next(n for n, x in enumerate(cells) if "parameters" in x.metadata.get("tags", []))
    cells.insert(position + 1, nbformat.v4.new_code_cell(parameters))
    client = nbclient.NotebookClient(
        notebook,
        kernel_name=_KERNEL,
        timeout=_CELL_SECONDS,
        resources={"metadata": {"path": str(folder)}},
    )
    return client.execute()


def texts(notebook) -> str:
    """Returns all that was printed."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output["text"] for output in outputs if output.output_type == "stream")


def pictures(notebook) -> list[str]:
    """Returns the inline PNG images."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]


def picture_size(encoded: str) -> tuple[int, int]:
    """Returns (width, height) of an inline PNG image."""
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
        return picture.size


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the notebook is run."""
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def executed(kernel, folder):
    """The notebook, run once for all that look at the results."""
    parameters = f"SETTINGS = {_TINY}\nNUM_SAMPLES = 2\nimport sys; print(sys.executable)"
    return run_notebook(_TRAIN, folder, parameters=parameters)


class TestRun:
    def test_runs_in_the_python_of_the_tests(self, executed):
        assert texts(executed).splitlines()[0] == sys.executable

    def test_trains(self, executed, folder):
        workdir = folder / "runs" / "demo"
        assert json.loads((workdir / "config.json").read_text())["dataset"] == "demo"
        records = [json.loads(x) for x in (workdir / "metrics.jsonl").read_text().splitlines()]
        assert [record["step"] for record in records] == [1, 2, 3, 4]
        assert (workdir / "generator.weights.h5").is_file()
        assert (workdir / "losses.png").is_file()
        assert "AtoB, 4 steps of 1" in texts(executed)

    def test_shows_grids_losses_and_translations(self, executed):
        # Grids of steps 0, 2 and 4; losses; four held-out pairs; the export.
        shown = [picture_size(picture) for picture in pictures(executed)]
        assert len(shown) == 3 + 1 + 4 + 1
        # 22 for the titles, 4 between images: input, target and two samples; input and two outputs.
        assert shown[4:] == 4 * [(4 * 36 - 4, 22 + 32)] + [(3 * 36 - 4, 22 + 32)]

    def test_samples_of_an_image_differ(self, executed, folder):
        for first in (folder / "runs" / "demo" / "translations").glob("*_1.png"):
            second = first.with_name(first.name.replace("_1.png", "_2.png"))
            assert first.read_bytes() != second.read_bytes()

    def test_exports(self, executed, folder):
        version = folder / "runs" / "demo_savedmodel" / "1"
        card = json.loads((version / "assets.extra" / "model_card.json").read_text())
        assert set(card["signatures"]) == {"serving_default", "with_noise", "encoded"}
        assert "signatures encoded, serving_default, with_noise." in texts(executed)
        (difference,) = re.findall(r"the run differ by (\S+) at most", texts(executed))
        assert float(difference) < 1e-5

    def test_makes_an_archive_of_the_export(self, executed, folder):
        with zipfile.ZipFile(folder / "runs" / "demo_savedmodel.zip") as archive:
            assert archive.testzip() is None
            assert "demo_savedmodel/1/saved_model.pb" in archive.namelist()
            assert "demo_savedmodel/1/variables/variables.index" in archive.namelist()

    def test_goes_on_when_run_again_uploads_and_downloads_in_colab(self, executed, kernel, folder):
        translated = folder / "runs" / "demo" / "translations"
        (folder / "mine.png").write_bytes(next(translated.glob("*.png")).read_bytes())
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", str(kernel / "fake_colab"), prepend=os.pathsep)
            again = run_notebook(
                _TRAIN,
                folder,
                parameters=f"SETTINGS = {dict(_TINY, num_steps=5)}\nIMAGES = 'upload'",
            )
        assert "Continuing 'runs/demo' after step 4." in texts(again)
        assert sorted(path.name for path in translated.glob("mine_*")) == [
            "mine_1.png",
            "mine_2.png",
            "mine_3.png",
        ]
        archive = folder / "runs" / "demo_savedmodel.zip"
        assert (folder / "colab.txt").read_text() == f"download {archive}\n"
        with zipfile.ZipFile(archive) as content:
            assert {name.split("/")[1] for name in content.namelist()} == {"2"}


def code_cells(path: pathlib.Path, *, until: str) -> str:
    """Returns the code of the cells up to the first that contains `until`."""
    sources = [cell.source for cell in jupytext.read(path).cells if cell.cell_type == "code"]
    end = next(number for number, source in enumerate(sources) if until in source)
    return "\n".join(sources[: end + 1])


def run_cells(until: str, **parameters) -> dict:
    """Runs the first cells in this process, with other parameters; returns all variables."""
    names = {}
    exec(code_cells(_TRAIN, until="DATASET ="), names)
    assert parameters.keys() <= names.keys()
    # The parameters' own cell must not run again.
    code = code_cells(_TRAIN, until=until)[len(code_cells(_TRAIN, until="DATASET =")) :]
    names.update(parameters)
    exec(code, names)
    return names


class TestSettings:
    SETUP, PRESET = "import tensorflow", "PRESETS ="
    ADDRESS = "git+https://example.com/project"

    @pytest.fixture
    def colab(self, monkeypatch):
        module = types.ModuleType("google.colab")
        module.drive, module.files = mock.Mock(), mock.Mock()
        monkeypatch.setitem(sys.modules, "google.colab", module)
        return module

    @pytest.fixture
    def pip(self, monkeypatch):
        """Makes the package look absent, and pip fail."""
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        failed = subprocess.CompletedProcess([], returncode=1, stderr="no such address")
        with mock.patch.object(subprocess, "run", return_value=failed) as run:
            yield run

    def test_defaults_train_the_demo_set(self):
        names = run_cells(self.PRESET)
        assert names["config"].dataset == pairs.DEMO
        assert names["config"].precision == "auto"
        assert names["workdir"] == pathlib.Path("runs/demo")

    @pytest.mark.parametrize("name", registry.PUBLISHED)
    def test_takes_the_direction_of_the_paper(self, name):
        config = run_cells(self.PRESET, DATASET=name)["config"]
        assert config.direction == registry.PUBLISHED[name].direction
        assert run_cells(self.PRESET, DATASET=name, DIRECTION="AtoB")["config"].direction == "AtoB"

    def test_takes_a_folder_and_names_the_run_after_it(self):
        names = run_cells(self.PRESET, DATASET="/data/my_pairs", NUM_STEPS=7, RUNS="kept")
        assert names["config"].dataset == "/data/my_pairs"
        assert names["config"].num_steps == 7
        assert names["workdir"] == pathlib.Path("kept/my_pairs")
        assert run_cells(self.PRESET, RUN_NAME="second")["workdir"] == pathlib.Path("runs/second")

    def test_other_settings_win_and_are_checked(self):
        assert run_cells(self.PRESET, SETTINGS={"batch_size": 8})["config"].batch_size == 8
        with pytest.raises(InputError, match="no setting 'bacth_size'. Did you mean 'batch_size'"):
            run_cells(self.PRESET, SETTINGS={"bacth_size": 8})

    def test_refuses_images_that_are_not_there_before_training(self):
        with pytest.raises(InputError, match="There is no 'typo'"):
            run_cells(self.PRESET, IMAGES="typo")
        with pytest.raises(ValueError, match="'upload', which only Colab can do"):
            run_cells(self.PRESET, IMAGES="upload")

    def test_takes_uploads_in_colab(self, colab):
        run_cells(self.PRESET, IMAGES="upload")

    @pytest.mark.parametrize("parameter", ["DATASET", "RUNS", "IMAGES"])
    def test_connects_drive_where_a_path_is_on_it(self, colab, parameter):
        run_cells(self.SETUP)
        colab.drive.mount.assert_not_called()
        run_cells(self.SETUP, **{parameter: "/content/drive/MyDrive/some"})
        colab.drive.mount.assert_called_once_with("/content/drive")

    def test_installs_without_touching_what_colab_has(self, colab, pip):
        with pytest.raises(RuntimeError, match="(?s)'git.https://.*no such address"):
            run_cells(self.SETUP, REPOSITORY=self.ADDRESS)
        (command,) = pip.call_args.args
        assert command[:4] == [sys.executable, "-m", "pip", "install"]
        assert command[-2:] == ["--no-deps", self.ADDRESS]

    def test_installs_what_is_missing_elsewhere(self, pip):
        with pytest.raises(RuntimeError, match="no such address"):
            run_cells(self.SETUP, REPOSITORY=self.ADDRESS)
        assert "--no-deps" not in pip.call_args.args[0]

    @pytest.mark.parametrize("parameters", [{}, {"REPOSITORY": "some.zip"}], ids=["default", "own"])
    def test_says_how_to_get_the_zip_that_is_not_there(self, pip, parameters):
        with pytest.raises(FileNotFoundError, match="There is no '.*.zip' to install.*git archive"):
            run_cells(self.SETUP, **parameters)
        pip.assert_not_called()

    def test_form_offers_every_data_set_and_each_has_a_preset(self):
        names = [pairs.DEMO, *registry.PUBLISHED]
        (choices,) = re.findall(r"^DATASET = .*# @param (\[.*\])", _TRAIN.read_text(), re.MULTILINE)
        assert json.loads(choices) == names
        assert list(run_cells(self.PRESET)["PRESETS"]) == names


@pytest.mark.parametrize("path", _SOURCES, ids=lambda path: path.stem)
def test_installs_a_zip_by_git_archive(path, kernel, tmp_path):
    """As notebooks/README.md has it, in a Python of its own."""
    if not (_REPOSITORY / ".git").exists():
        pytest.skip("this copy of the project is no checkout of git")
    archive = tmp_path / "pix2pix_tf.zip"
    command = ["git", "archive", "--format=zip", "-o", archive, "HEAD"]
    subprocess.run(command, cwd=_REPOSITORY, check=True)
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    # All that is installed here, but not the project, which setups for development find
    # by code in a .pth file: those of a folder that a .pth file names are not read.
    own_site, site = (
        subprocess.run(
            [each, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for each in (python, sys.executable)
    )
    pathlib.Path(own_site, "installed.pth").write_text(site)
    cells = code_cells(path, until="invalidate_caches")
    cells = cells.replace("/content/pix2pix_tf.zip", str(archive))
    # Up to the imports, which take long; a model only has to be there.
    code = f"""
{cells.partition("importlib.invalidate_caches()")[0]}
    import export.web
    import pix2pix_tf
    for module in (export, pix2pix_tf):
        print(module.__file__)
    print((pathlib.Path(export.web.__file__).parent / "site" / "index.html").is_file())
"""
    (tmp_path / "demo_savedmodel.zip").touch()
    answer = subprocess.run(
        [python, "-c", code],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(kernel / "fake_colab"),
            # Builds with the setuptools at hand: tests ask for nothing from the network.
            "PIP_NO_BUILD_ISOLATION": "0",
            "PIP_NO_INDEX": "1",
        },
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    *modules, has_site = answer.stdout.split()
    assert [pathlib.Path(module).is_relative_to(own_site) for module in modules] == [True, True]
    assert has_site == "True"


class TestOtherSettings:
    """The cells that show results, for models of other images than colour pictures."""

    def run(self, tmp_path, monkeypatch, **parameters) -> dict:
        """Runs all but the download in this process; returns all variables."""
        monkeypatch.chdir(tmp_path)
        settings = {**_TINY, "num_steps": 1, **parameters.pop("SETTINGS")}
        return run_cells("difference =", SETTINGS=settings, NUM_SAMPLES=1, **parameters)

    def test_colorization_is_shown_as_photos(self, tmp_path, monkeypatch):
        settings = dict(color_space="lab", input_channels=1, output_channels=2)
        with mock.patch.object(reports, "row_as_png", wraps=reports.row_as_png) as row_as_png:
            names = self.run(tmp_path, monkeypatch, SETTINGS=settings)
        shown = [call.args[0] for call in row_as_png.call_args_list]
        assert [list(pictures) for pictures in shown] == [
            *4 * [["input", "target", "sample 1"]],
            ["input", "served", "served again"],
        ]
        for pictures in shown:
            assert {picture.shape for picture in pictures.values()} == {(32, 32, 3)}
        assert len(list(names["translations"].glob("*_1.png"))) == 4

    def test_arrays_of_a_shape_and_range_of_their_own(self, tmp_path, monkeypatch, capsys):
        random = np.random.default_rng(0)
        for split in ("train", "test"):
            for side, channels in (("A", 5), ("B", 2)):
                (tmp_path / "data" / split / side).mkdir(parents=True)
                values = random.integers(0, 4096, (32, 64, channels)).astype(np.uint16)
                np.save(tmp_path / "data" / split / side / "1.npy", values)
        settings = dict(
            crop_width=64,
            input_channels=5,
            output_channels=2,
            input_range="0,4095",
            output_range="0,4095",
        )
        data = str(tmp_path / "data")
        images = data + "/test/A"
        names = self.run(tmp_path, monkeypatch, SETTINGS=settings, DATASET=data, IMAGES=images)
        values = np.load(names["translations"] / "1_1.npy")
        assert (values.shape, values.dtype) == ((32, 64, 2), np.dtype("uint16"))
        # After a step outputs are near 0, the middle of the range.
        assert 1500 < values.mean() < 2600
        assert "It has no signature `encoded`. The model takes 5 channel" in capsys.readouterr().out


def dotted_name(node: ast.AST) -> str:
    """Returns `a.b.c` for that expression; empty if it is not one."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted_name(node.value)
        return base and f"{base}.{node.attr}"
    return ""


class TestExport:
    """The other notebook, on a run folder made here."""

    def test_takes_a_run_to_every_form(self, kernel, tmp_path):
        tiny_runs.write_run(tmp_path / "a run", dataset="demo")
        earlier = tmp_path / "forms" / "saved_model" / "1"
        earlier.mkdir(parents=True)
        (earlier / "saved_model.pb").touch()
        (tmp_path / "forms" / "int8.tflite").touch()
        executed = run_notebook(
            _EXPORT, tmp_path, parameters='MODEL, OUTPUT = "a run", "forms"\nTFLITE = "none"'
        )
        text = texts(executed)
        difference = float(re.search(r"Differs from the SavedModel by (\S+) at most", text)[1])
        assert difference < 1e-4
        assert len(pictures(executed)) == 3
        with zipfile.ZipFile(tmp_path / "forms.zip") as archive:
            assert archive.testzip() is None
            names = archive.namelist()
        for name in ("saved_model/2/saved_model.pb", "none.tflite", "answer.png"):
            assert name in names
        assert any(name.startswith("saved_model/2/variables/variables.data") for name in names)
        assert not any(name.startswith(("saved_model/1", "int8")) for name in names)
        assert any(re.fullmatch(r"tfjs_float16/.*model\.json", name) for name in names)

    def test_shows_a_drawn_scene_where_the_pairs_are_not(self, tmp_path, monkeypatch, capsys):
        tiny_runs.write_run(tmp_path / "runs" / "demo", dataset="/not/here", input_channels=1)
        monkeypatch.chdir(tmp_path)
        names = self.run_cells_until("served =")
        assert "The input is a drawn scene" in capsys.readouterr().out
        assert names["image"].shape == (1, 32, 32, 1)
        assert names["served"].shape == (1, 32, 32, 3)

    @pytest.mark.parametrize(
        ("settings", "channels", "shown"),
        [
            (dict(color_space="lab", input_channels=1, output_channels=2), 1, (32, 32, 3)),
            (dict(crop_width=64, input_channels=5, output_channels=2), 5, (32, 64, 2)),
            (dict(output_range="0,1"), 3, (32, 32, 3)),
        ],
        ids=["colorization", "arrays", "values"],
    )
    def test_shows_models_of_other_settings(self, settings, channels, shown, tmp_path, monkeypatch):
        tiny_runs.write_run(tmp_path / "runs" / "demo", dataset="/not/here", **settings)
        monkeypatch.chdir(tmp_path)
        with mock.patch.object(reports, "row_as_png", wraps=reports.row_as_png) as row_as_png:
            names = self.run_cells_until("translate_encoded(")
        assert names["image"].shape[-1] == channels
        (pictures,) = row_as_png.call_args.args
        assert pictures["one draw"].shape == pictures["another"].shape == shown
        # Only colorization, of these, takes and makes pictures.
        assert len(names["answers"]) == ("color_space" in settings)

    def test_takes_pairs_from_elsewhere(self, tmp_path, monkeypatch):
        tiny_runs.write_run(tmp_path / "runs" / "demo", dataset="/not/here")
        monkeypatch.chdir(tmp_path)
        with mock.patch.object(tflite, "convert", side_effect=InterruptedError) as convert:
            with pytest.raises(InterruptedError):
                self.run_cells_until(
                    "tflite.convert(", DATASET="demo", DATA_DIR="there", TFLITE="int8"
                )
        assert convert.call_args.kwargs == dict(
            quantize="int8", dataset="demo", data_dir="there", size=(32, 32)
        )

    def test_takes_the_zip_of_the_other_notebook(self, executed, folder, tmp_path, monkeypatch):
        shutil.copy(folder / "runs" / "demo_savedmodel.zip", tmp_path)
        monkeypatch.chdir(tmp_path)
        names = self.run_cells_until("served =", MODEL="demo_savedmodel.zip")
        assert names["version"] == pathlib.Path("exported/saved_model/1")
        card = json.loads((names["version"] / "assets.extra" / "model_card.json").read_text())
        assert card["step"] in (4, 5)  # 5 where the test that goes on was before.
        assert names["served"].shape == (1, 32, 32, 3)

    def test_default_is_the_zip_of_the_defaults_of_the_other_notebook(self):
        names = run_cells(TestSettings.PRESET)
        exec(code_cells(_EXPORT, until="MODEL ="), form := {})
        assert form["MODEL"] == f"{names['workdir'].name}_savedmodel.zip"

    def test_stops_where_no_model_is_before_it_installs(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(importlib.util, "find_spec", mock.Mock(side_effect=AssertionError))
        with pytest.raises(
            FileNotFoundError, match=r"no 'demo_savedmodel.zip'\. Upload the zip .* Drive"
        ):
            self.run_cells_until("from export import", MODEL="demo_savedmodel.zip")

    def run_cells_until(self, until: str, **parameters) -> dict:
        names = {}
        form = code_cells(_EXPORT, until="MODEL =")
        exec(form, names)
        parameters = {"MODEL": "runs/demo", **parameters}
        assert parameters.keys() <= names.keys()
        names.update(parameters)
        exec(code_cells(_EXPORT, until=until)[len(form) :], names)
        return names


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
        for cell in notebook.cells:
            if cell.cell_type == "code":
                # Generating it keeps outputs, as it keeps all that is not in the source.
                kept = cell.outputs or cell.execution_count
                assert not kept, f"Saved after a run. Restore it with git, then run: {_GENERATE}"

    def test_opens_in_colab_with_a_gpu_where_it_trains(self, path):
        notebook = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
        assert notebook.metadata.get("accelerator") == ("GPU" if path == _TRAIN else None)
        assert notebook.metadata["colab"]["name"] == path.with_suffix(".ipynb").name
        assert "OWNER" not in path.read_text()  # A link to nowhere.

    @pytest.mark.skipif(sys.version_info < (3, 10), reason="needs sys.stdlib_module_names")
    def test_imports_only_the_package(self, path):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module]
            else:
                continue
            for name in names:
                top = name.split(".")[0]
                assert top in sys.stdlib_module_names or {top, name} & _PACKAGES, name

    def test_holds_no_model_code(self, path):
        tree = ast.parse(path.read_text())
        assert not [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        imported = [
            (alias.name, alias.asname)
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for alias in node.names
            if alias.name.startswith("tensorflow")
        ]
        assert imported in ([], [("tensorflow", "tf")])
        inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        used = {dotted_name(node) for node in ast.walk(tree) if id(node) not in inner}
        used = {name for name in used if name.split(".")[0] == "tf"}
        assert used <= _TENSORFLOW
