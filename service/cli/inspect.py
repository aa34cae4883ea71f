"""`deltabar inspect`: what a model in a folder is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.options import AsJson, local, print_json
from service.cli.panels import LOCAL

if TYPE_CHECKING:
    from service.local.model import LocalModel

app = typer.Typer()


@app.command(rich_help_panel=LOCAL)
def inspect(
    model: Annotated[Path, typer.Argument(help="Folder of the model, as `deltabar train` has written it.")],
    as_json: AsJson = False,
) -> None:
    """Show what a model predicts, from which columns, with which layers, and how well.

    Example: `deltabar inspect model`
    """
    with local():
        from service.local.model import LocalModel

        described = _described(LocalModel(model))
    if as_json:
        print_json(described)
    else:
        _show(described)


def _described(model: LocalModel) -> dict[str, Any]:
    network, encoding = model.predictor.network, model.predictor.encoding
    layers = [
        {"layer": layer.kind, **{name: value for name, value in vars(layer).items() if isinstance(value, str | int)}}
        for layer in network.layers
    ]
    tensors = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
    return {
        "object": "local_model",
        "path": str(model.folder),
        "target": encoding.target.model_dump(mode="json"),
        "features": [
            {"name": feature.name, "kind": feature.kind, "inputs": feature.n_inputs} for feature in encoding.features
        ],
        "network": {"n_inputs": network.n_inputs, "n_parameters": network.n_parameters, "layers": layers},
        "tensors": tensors,
        "card": model.card or None,
    }


def _show(described: dict[str, Any]) -> None:
    from service.terminal.listing import columns, pairs
    from service.terminal.progress import number

    network, target, card = described["network"], described["target"], described["card"] or {}
    told: dict[str, Any] = {"predicts": target["name"]}
    if "classes" in target:
        told["classes"] = ", ".join(target["classes"])
    told["parameters"] = network["n_parameters"]
    if result := card.get("result"):
        dataset, spec = card["dataset"], card["spec"]
        told["trained on"] = f"{dataset['name']} ({dataset['rows']} rows, sha-256 {dataset['sha256'][:12]}…)"
        told["with"] = f"{spec['loss']['name']}, {spec['optimizer']['name']}, seed {spec['seed']}, {result['device']}"
        told["epoch"] = f"{result['epoch']} of {spec['epochs']}"
        told["loss"] = number(result["loss"])
        told |= {f"validation {name}": number(value) for name, value in result["metrics"].items()}
        told |= {f"test {name}": number(value) for name, value in result["test_metrics"].items()}
        told |= {f"gradients after epoch {each['epoch']}": _verdict(each) for each in card["certificates"]}
        told["deltabar"] = card["versions"]["deltabar"]
    typer.echo(pairs(told))
    typer.echo()
    typer.echo(columns(("COLUMN", "KIND", "INPUTS"), [tuple(each.values()) for each in described["features"]]))
    typer.echo()
    rows = [(name, " × ".join(map(str, shape))) for name, shape in described["tensors"].items()]
    typer.echo(columns(("TENSOR", "SHAPE"), rows))
    typer.echo()
    typer.echo(columns(("LAYER", "WHAT"), [(layer["layer"], _choices(layer)) for layer in network["layers"]]))


def _verdict(certificate: dict[str, Any]) -> str:
    """Say whether the gradients were right, and how far off the two checks were."""
    checks = {"dot test": certificate["dot_test"], "finite difference": certificate["directional"]}
    right = "right" if all(check["passed"] for check in checks.values()) else "not as they should be"
    errors = ", ".join(f"{name} off by {_short(check['error'])}" for name, check in checks.items())
    return f"{right} ({errors})"


def _short(error: float | None) -> str:
    return "more than any number" if error is None else f"{error:.1e}"


def _choices(layer: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in layer.items() if name != "layer")
