"""`visir train`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from visir.cli.common import say
from visir.errors import ModelError


def train(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A recipe's file, or the name of one that ships: unise-clip, unise-mini …")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder of the run; an unfinished run there is gone on with.")
    ],
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, as in stage.0.lr=1e-5; may be given again.")
    ] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="Only try whether it runs: a few small steps.")] = False,
    minutes: Annotated[float, typer.Option("--minutes", metavar="N", min=0, help="Stop after so long; the same command goes on.")] = 0,
    device: Annotated[str, typer.Option("--device", metavar="NAME", help="cpu, cuda … (else the GPU where there is one).")] = "",
) -> None:
    """Train a model by a recipe.

    DIR gets metrics.jsonl, curves.png, the state that an interrupted run goes on from, and at last model/, which every other verb takes as
    --model. Prints the model's folder.
    """
    try:
        from visir.train.run import run_recipe
    except ImportError as error:
        raise ModelError(f"training runs in torch: pip install 'visir[train]' ({error})") from error
    model = run_recipe(recipe, output, changes or [], smoke, minutes, device)
    if int(os.environ.get("RANK", 0)):
        return  # torchrun's first process speaks for all
    if model is None:
        say("stopped before the end; the same command goes on")
    else:
        sys.stdout.write(f"{model}\n")
