"""`deltabar export`: a model in a folder, as a file for elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from service.cli.options import AsJson, Force, local, print_json
from service.cli.panels import LOCAL

app = typer.Typer()


@app.command(rich_help_panel=LOCAL)
def export(
    model: Annotated[Path, typer.Argument(help="Folder of the model, as `deltabar train` has written it.")],
    format: Annotated[
        Literal["onnx", "npz", "safetensors"],
        typer.Option(help="onnx takes the raw columns; npz and safetensors have the weights alone."),
    ],
    output: Annotated[
        Path | None, typer.Option(help="The file. [default: the folder's name, with the format]", metavar="FILE")
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write a model as one file: ONNX with the encoding of the columns inside, or its weights as NPZ or safetensors.

    The tensors are named as a `torch.nn.Sequential` of the same layers names them.

    Example: `deltabar export model --format onnx`
    """
    with local():
        from service.local.model import LocalModel, NoModel
        from service.local.writing import new
        from service.models.formats import write_to

        found = LocalModel(model)
        path = output or Path(f"{model.resolve().name}.{format}")
        with new(path, force) as draft, draft.open("wb") as file:
            try:
                write_to(file, model, format, found.metadata())
            except ValueError as error:
                raise NoModel(f"{model} can't be written as {format}: {error}") from error
    if as_json:
        print_json({"path": str(path), "format": format, "bytes": path.stat().st_size})
    else:
        typer.echo(f"{path}: {path.stat().st_size} bytes")
