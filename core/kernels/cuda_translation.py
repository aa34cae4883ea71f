"""From a reference formula to CUDA C++, by its own text, as `core.kernels.translation` goes to single numbers."""

from __future__ import annotations

import ast
from typing import Any

from core.kernels.translation import UntranslatableError, translated

FUNCTIONS = {
    "where": "T where(bool condition, T one, T other) { return condition ? one : other; }",
    "maximum": "T maximum(T one, T other) { return one > other || one != one ? one : other; }",
    "minimum": "T minimum(T one, T other) { return one < other || one != one ? one : other; }",
    "clip": "T clip(T x, T low, T high) { return minimum(maximum(x, low), high); }",
    "sign": "T sign(T x) { return x > T(0) ? T(1) : x < T(0) ? T(-1) : x; }",
    "ones_like": "T ones_like(T) { return T(1); }",
    "zeros_like": "T zeros_like(T) { return T(0); }",
    "squared": "T squared(T x) { return x * x; }",
}
"""What formulas call and CUDA hasn't itself, under this name."""

NEEDS = {"clip": ("minimum", "maximum")}
"""What some of them call."""

OPERATORS: dict[type[ast.AST], str] = {
    **{ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.USub: "-"},
    **{ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="},
}

_INLINE = "__device__ inline "


def as_cuda(formulas: list[tuple[Any, str]], owner: object) -> str:
    """Return the text of device functions that do what the formulas do, and of those that they call.

    `T` must be the elements' type there.

    Args:
        formulas: methods such as `Loss.value`, each with the name of the function.
        owner: the object whose fields `self` means.

    Raises:
        UntranslatableError: where a formula asks for more than arithmetic.

    >>> from core.losses import SquaredError
    >>> print(as_cuda([(SquaredError.gradient, "gradient")], SquaredError()))
    __device__ inline T gradient(T u_, T y_, T j_bar_) {
      return (j_bar_ * (u_ - y_));
    }
    <BLANKLINE>
    """
    known: dict[str, Any] = {}
    python = "".join(translated(formula, name, known, owner) for formula, name in formulas)
    functions = [node for node in ast.parse(python).body if isinstance(node, ast.FunctionDef)]
    several = {size for function in functions if (size := _returned(function)) > 1}
    texts = [f"struct Several{size} {{ T at[{size}]; }};\n" for size in sorted(several)]
    called = {node.id for function in functions for node in ast.walk(function) if isinstance(node, ast.Name)}
    called |= {"squared"} if any(isinstance(node, ast.Pow) for f in functions for node in ast.walk(f)) else set()
    called |= {needed for name in called for needed in NEEDS.get(name, ())}
    texts += [f"{_INLINE}{text}\n" for name, text in FUNCTIONS.items() if name in called]
    return "".join([*texts, *(_function(function) for function in functions)])


def _returned(function: ast.FunctionDef) -> int:
    """Return how many numbers the function returns."""
    last = function.body[-1]
    return len(last.value.elts) if isinstance(last, ast.Return) and isinstance(last.value, ast.Tuple) else 1


def _type_of(function: ast.FunctionDef) -> str:
    size = _returned(function)
    return "T" if size == 1 else f"Several{size}"


def _function(function: ast.FunctionDef) -> str:
    if function.args.vararg:
        raise UntranslatableError("any number of arguments")
    arguments = ", ".join(f"T {_variable(argument.arg)}" for argument in function.args.args)
    declared, lines = {argument.arg for argument in function.args.args}, []
    for line in function.body:
        lines += [f"  {text}\n" for text in _statement(line, declared)]
    return f"{_INLINE}{_type_of(function)} {function.name}({arguments}) {{\n{''.join(lines)}}}\n"


def _statement(line: ast.stmt, declared: set[str]) -> list[str]:
    def assigned(name: str, value: str) -> str:
        text = f"{'' if name in declared else 'T '}{_variable(name)} = {value};"
        declared.add(name)
        return text

    match line:
        case ast.Return(ast.Tuple(values)):
            return [f"return {{{{{', '.join(map(_expression, values))}}}}};"]
        case ast.Return(ast.expr() as value):
            return [f"return {_expression(value)};"]
        case ast.Assign([ast.Name(name)], value):
            return [assigned(name, _expression(value))]
        case ast.Assign([ast.Tuple(targets)], ast.Tuple(values)) if all(isinstance(t, ast.Name) for t in targets):
            names, used = [ast.unparse(target) for target in targets], {n.id for v in values for n in _names(v)}
            if used & set(names):
                raise UntranslatableError("a name that changes in the line in which it is used")
            return [assigned(name, _expression(value)) for name, value in zip(names, values, strict=True)]
        case ast.Assign([ast.Tuple(targets)], ast.Call() as call) if all(isinstance(t, ast.Name) for t in targets):
            names = [ast.unparse(target) for target in targets]
            whole = f"of_{'_'.join(names)}"
            parts = [assigned(name, f"{whole}.at[{place}]") for place, name in enumerate(names)]
            return [f"const Several{len(names)} {whole} = {_expression(call)};", *parts]
    raise UntranslatableError(f"the line {ast.unparse(line)!r}")


def _variable(name: str) -> str:
    # `short` and the like mean something else in C++.
    return f"{name}_"


def _names(value: ast.expr) -> list[ast.Name]:
    return [node for node in ast.walk(value) if isinstance(node, ast.Name)]


def _expression(value: ast.expr) -> str:
    match value:
        case ast.Name(name):
            text = _variable(name)
        case ast.Constant(int() | float() as number):
            text = repr(number)
        case ast.Call(ast.Name(name), arguments):
            text = f"{'fabs' if name == 'abs' else name}({', '.join(map(_expression, arguments))})"
        case ast.BinOp(left, ast.Pow(), ast.Constant(2)):
            text = f"squared({_expression(left)})"
        case ast.BinOp(left, operator, right) if type(operator) in OPERATORS:
            text = f"({_expression(left)} {OPERATORS[type(operator)]} {_expression(right)})"
        case ast.UnaryOp(ast.USub(), operand):
            text = f"(-{_expression(operand)})"
        case ast.Compare(left, [operator], [right]) if type(operator) in OPERATORS:
            text = f"({_expression(left)} {OPERATORS[type(operator)]} {_expression(right)})"
        case ast.Subscript(ast.Call() as call, ast.Constant(int() as place)):
            text = f"{_expression(call)}.at[{place}]"
        case _:
            raise UntranslatableError(f"the expression {ast.unparse(value)!r}")
    return text
