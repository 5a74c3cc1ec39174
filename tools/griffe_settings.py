"""For `make docs`: shows the fields of `TrainConfig` with the texts of their flags."""

from __future__ import annotations

import ast
from typing import Any

import griffe


class Settings(griffe.Extension):
    """Reads what `config.setting(default, help, ...)` is given, for whoever reads the sources."""

    def on_attribute_instance(
        self, *, node: ast.AST | griffe.ObjectNode, attr: griffe.Attribute, **kwargs: Any
    ) -> None:
        """Replaces the call by the default, and the docstring that is not there by the help."""
        call = node.value if isinstance(node, ast.AnnAssign) else None
        if not (isinstance(call, ast.Call) and ast.unparse(call.func) == "setting"):
            return
        default, help_text = call.args
        choices = {keyword.arg: keyword.value for keyword in call.keywords}.get("choices")
        text = ast.literal_eval(help_text)
        if isinstance(choices, ast.Tuple) and all(
            isinstance(x, ast.Constant) for x in choices.elts
        ):
            text += f" One of {', '.join(f'`{ast.unparse(x)}`' for x in choices.elts)}."
        attr.value = ast.unparse(default)
        attr.docstring = griffe.Docstring(text, lineno=node.lineno, parent=attr)
