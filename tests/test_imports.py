"""Holds the imports of the package to the maps in its docstrings."""

from __future__ import annotations

import ast
import graphlib
import pathlib
import re
from collections.abc import Iterator

from absl.testing import parameterized

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_PACKAGE = _REPOSITORY / "pix2pix_tf"
_MAPS = (
    ("package", "pix2pix_tf"),
    ("data", "pix2pix_tf/data"),
    ("scenes", "pix2pix_tf/data/scenes"),
    ("evaluation", "pix2pix_tf/evaluation"),
    ("fcn_score", "pix2pix_tf/evaluation/fcn_score"),
    ("pytorch", "pix2pix_tf/pytorch"),
    ("export", "export"),
    ("parity", "export/parity"),
    ("tflite", "export/tflite"),
    ("tfjs", "export/tfjs"),
    ("onnx", "export/onnx"),
)
_COMMAND = "__main__"  # Of a package: imports all of it, and nothing imports it.


def _read_map(folder: pathlib.Path) -> list[tuple[list[str], str]]:
    """Returns the lines of the map of a package: its modules, and what is said of them."""
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8")))
    lines = re.findall(r"^ {4}(\w+(?:, \w+)*)  +(.+)$", docstring, re.MULTILINE)
    return [(names.split(", "), text) for names, text in lines]


def _imported(path: pathlib.Path, *, only_at_once: bool = False) -> Iterator[str]:
    """Yields the dotted names that a file imports, in functions too unless `only_at_once`."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in tree.body if only_at_once else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:  # Relative.
                package = path.relative_to(_REPOSITORY).parts[: -node.level]
                module = ".".join([*package, *filter(None, [module])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _modules(folder: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """Returns the files of each module and package that stands in a folder."""
    files = {path.stem: [path] for path in folder.glob("*.py") if path.stem != "__init__"}
    packages = {path.parent for path in folder.glob("*/__init__.py")}
    return {**files, **{path.name: sorted(path.rglob("*.py")) for path in packages}}


class ImportsTest(parameterized.TestCase):
    @parameterized.named_parameters(*_MAPS)
    def test_every_module_is_on_the_map_once(self, folder):
        names = [name for names, _ in _read_map(_REPOSITORY / folder) for name in names]
        self.assertCountEqual(names, _modules(_REPOSITORY / folder).keys() - {_COMMAND})

    @parameterized.named_parameters(*_MAPS)
    def test_imports_are_of_what_stands_before(self, folder):
        order = [name for names, _ in _read_map(_REPOSITORY / folder) for name in names]
        order.append(_COMMAND)
        prefix = ".".join(pathlib.Path(folder).parts) + "."
        wrong = []
        for module, paths in _modules(_REPOSITORY / folder).items():
            allowed = {module, *order[: order.index(module)]}
            for path in paths:
                wrong += [
                    f"{path.relative_to(_REPOSITORY)} imports {name}"
                    for name in _imported(path)
                    if name.startswith(prefix)
                    and name.removeprefix(prefix).split(".")[0] not in allowed
                ]
        self.assertEmpty(wrong)

    def test_no_module_imports_one_that_imports_it(self):
        """In functions neither, where a cycle would start no program but hide who needs whom."""
        paths = {
            ".".join(path.relative_to(_PACKAGE.parent).with_suffix("").parts): path
            for path in _PACKAGE.rglob("*.py")
        }
        names = {name.removesuffix(".__init__"): path for name, path in paths.items()}
        graph = {
            # What is imported from a module has a dot more than the module.
            name: {x if x in names else x.rpartition(".")[0] for x in _imported(path)} & set(names)
            for name, path in names.items()
        }
        self.assertIn("pix2pix_tf.training.loop", graph["pix2pix_tf.demo"])
        for name in graph:
            graph[name].discard(name)  # Names that a package's own __init__ gives.
        self.assertLen(list(graphlib.TopologicalSorter(graph).static_order()), len(names))

    def test_nothing_below_training_imports_it(self):
        below = [_PACKAGE / "serving.py"]
        for package in ("data", "models", "inference", "evaluation"):
            below += (_PACKAGE / package).rglob("*.py")
        self.assertGreater(len(below), 40)
        for path in below:
            wrong = [name for name in _imported(path) if name.startswith("pix2pix_tf.training")]
            self.assertEmpty(wrong, path)

    def test_the_package_imports_none_of_its_users(self):
        for path in _PACKAGE.rglob("*.py"):
            roots = {name.split(".")[0] for name in _imported(path)}
            self.assertEmpty(roots & {"export", "benchmarks", "notebooks", "tests"}, path)

    def test_export_has_no_name_of_its_own(self):
        """It is `export` in a checkout, and `pix2pix_tf.export` where it is installed."""
        for path in (_REPOSITORY / "export").rglob("*.py"):
            text = path.read_text("utf-8")
            self.assertNotRegex(text, r"(?m)^\s*(from|import) (pix2pix_tf\.)?export\b", path)

    def test_one_module_imports_matplotlib(self):
        """Which minds what the environment says to it."""
        users = [
            path.name
            for path in _PACKAGE.rglob("*.py")
            if "matplotlib" in {name.split(".")[0] for name in _imported(path)}
        ]
        self.assertEqual(users, ["figures.py"])

    def test_what_is_said_to_go_without_tensorflow_does(self):
        lines = [names for names, text in _read_map(_PACKAGE) if "no TensorFlow" in text]
        self.assertLen(lines, 3)
        for name in sum(lines, []):
            for path in _modules(_PACKAGE).get(name) or [_PACKAGE / name / "__init__.py"]:
                roots = {x.split(".")[0] for x in _imported(path, only_at_once=True)}
                self.assertEmpty(roots & {"tensorflow", "keras"}, name)
