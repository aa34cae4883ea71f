"""From a reference formula, written for arrays of any namespace, to the text of a function of single numbers.

The formula remains the one place where the mathematics stands: its own text is read, the namespace `xp` is replaced by
functions of one number (`core.kernels.vector_math`), and each constant is made a number of the elements' type, as
arrays make it by themselves. Helpers that a formula calls come along.
"""

from __future__ import annotations

import ast
import inspect
import math
import textwrap
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

FUNCTIONS = (
    *("exp", "expm1", "log1p", "tanh", "sqrt", "abs", "sign"),
    *("maximum", "minimum", "clip", "where", "ones_like", "zeros_like"),
)
"""What of a namespace there is for single numbers, in `core.kernels.vector_math`."""


class UntranslatableError(Exception):
    """The formula uses something that has no meaning for single numbers."""


def translated(formula: Callable[..., Any], name: str, known: dict[str, Any], owner: object = None) -> str:
    """Return the text of the function `name` that does what `formula(self, xp, …)` does, and those that it calls.

    Args:
        formula: a function or method that is written down; it may end with a sum over the last axis, which is then left
            to the caller's loop.
        name: of the function in the text.
        known: helpers that stand in the text already, by name; those that come with this formula are added.
        owner: the object whose fields `self` means.

    Raises:
        UntranslatableError: where the formula asks for more than arithmetic, such as an array's dtype.

    >>> from core.activations import Softsign
    >>> print(translated(Softsign.derivative, "derivative", {}))
    @inner
    def derivative(z, a):
        root = T(1) / (T(1) + abs(z))
        return root * root
    <BLANKLINE>
    """
    assert isinstance(formula, FunctionType), "a formula is a function that is written down"
    try:
        function = ast.parse(textwrap.dedent(inspect.getsource(formula))).body[0]
    except (OSError, SyntaxError) as error:  # typed in at a prompt, or its file has changed since
        raise UntranslatableError(f"its text is not at hand: {error}") from error
    if not isinstance(function, ast.FunctionDef):
        raise UntranslatableError("its text is not at hand: there are other lines in its place")
    own = {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    own |= {argument.arg for argument in ast.walk(function) if isinstance(argument, ast.arg)}
    names = {name: value for name, value in formula.__globals__.items() if name not in own}
    translator = _Translator(names, known, owner)
    arguments = [argument.arg for argument in function.args.args if argument.arg not in ("self", "xp")]
    rest = f", *{function.args.vararg.arg}" if function.args.vararg else ""
    body = [translator.visit(_without_sum(line)) for line in function.body if not _is_docstring(line)]
    lines = textwrap.indent("\n".join(ast.unparse(ast.fix_missing_locations(line)) for line in body), "    ")
    return "".join(translator.helpers) + f"@inner\ndef {name}({', '.join(arguments)}{rest}):\n{lines}\n"


class _Translator(ast.NodeTransformer):
    def __init__(self, names: Mapping[str, Any], known: dict[str, Any], owner: object) -> None:
        self._globals, self._known, self._owner, self.helpers = names, known, owner, []

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return _number(node.value)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        value = self._globals.get(node.id)
        if value is None:  # a name of the formula's own
            return node
        if isinstance(value, tuple):
            return ast.Tuple([_number(each) for each in value], ast.Load())
        return _number(value)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        whole = isinstance(node.op, ast.Pow) and isinstance(node.right, ast.Constant) and type(node.right.value) is int
        return ast.BinOp(self.visit(node.left), node.op, node.right if whole else self.visit(node.right))

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        # Places are integers, and stay so.
        parts = [part for part in ast.walk(node.slice) if isinstance(part, ast.expr)]
        if not all(isinstance(part, ast.Slice | ast.Constant) for part in parts):
            raise UntranslatableError("a place that is computed")
        return ast.Subscript(self.visit(node.value), node.slice, node.ctx)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if isinstance(node.value, ast.Name) and node.value.id == "self":
            return _number(getattr(self._owner, node.attr, None))
        if isinstance(node.value, ast.Name) and node.value.id == "xp" and node.attr in FUNCTIONS:
            return ast.Name(node.attr, ast.Load())
        raise UntranslatableError(f"the attribute {node.attr}")

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if node.keywords:
            raise UntranslatableError("an argument by name")
        arguments = [self.visit(a) for a in node.args if not (isinstance(a, ast.Name) and a.id == "xp")]
        helper = self._helper(node.func)
        if helper is None:
            return ast.Call(self.visit(node.func), arguments, [])
        if helper.__module__ == "math":
            return _number(helper(*(ast.literal_eval(argument) for argument in node.args)))
        if self._known.get(helper.__name__, helper) is not helper:
            raise UntranslatableError(f"two functions of the name {helper.__name__}")
        if helper.__name__ not in self._known:
            self._known[helper.__name__] = helper
            self.helpers.append(translated(helper, helper.__name__, self._known, self._owner))
        return ast.Call(ast.Name(helper.__name__, ast.Load()), arguments, [])

    def _helper(self, called: ast.expr) -> Any:
        """Return the function that is called; None where it is one of the namespace's."""
        if isinstance(called, ast.Name) and isinstance(self._globals.get(called.id), FunctionType):
            return self._globals[called.id]
        if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
            if called.value.id == "self":
                return getattr(type(self._owner), called.attr, None)
            if called.value.id == "math":
                return getattr(math, called.attr)
        return None


def _number(value: object) -> ast.expr:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UntranslatableError(f"{value!r} is no number")
    return ast.Call(ast.Name("T", ast.Load()), [ast.Constant(value)], [])


def _without_sum(line: ast.stmt) -> ast.stmt:
    """Return `return xp.sum(E, axis=-1)`, perhaps divided by a number, as `return E`, divided too."""

    def inner(node: ast.expr | None) -> ast.expr | None:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and isinstance(node.right, ast.Constant):
            found = inner(node.left)
            return found and ast.BinOp(found, node.op, node.right)
        if not isinstance(node, ast.Call) or ast.unparse(node.func) != "xp.sum":
            return None
        return node.args[0] if ast.unparse(node).endswith(", axis=-1)") else None

    found = inner(line.value) if isinstance(line, ast.Return) else None
    return ast.Return(found) if found is not None else line


def _is_docstring(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)
