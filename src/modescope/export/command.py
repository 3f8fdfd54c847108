"""`modescope export` and `modescope release`: trained generators as files for others, and for git."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[str, typer.Argument(help="A trained model: a folder in models/*/")],
    to: Annotated[
        str, typer.Option(help="onnx (needs neither Modescope nor torch) or safetensors (`modescope sample` reads it)")
    ],
    out: Annotated[
        Path | None, typer.Option(help="The folder to write, replaced if it is in exports/ [default: exports/RUN/TO]")
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="ONNX with int8 layers: smaller, faster, not quite equal")
    ] = False,
    measure: Annotated[
        int | None,
        typer.Option(help="Draw so many images with float32, bfloat16 and int8; the card has what each costs", min=2),
    ] = None,
) -> None:
    """Write a trained generator as one file, with a card that says what it is and how to load it."""
    from modescope.runs.listing import find_generator

    folder = find_generator(run, released=True)

    from modescope.export.folder import export as export_run

    file = export_run(folder, to, out or Path("exports", run, f"{to}-int8" if int8 else to), int8, measure)
    print(f"{run}: {file} ({file.stat().st_size / 1e6:.2f} MB), its card is {file.parent}/README.md")


def release(runs: Annotated[list[str], typer.Argument(help="Trained models: folders in models/*/")]) -> None:
    """Write trained generators to released/, for git: clones that have trained nothing can sample them."""
    from modescope.runs.listing import find_generator

    folders = [find_generator(run) for run in runs]

    from modescope.export.release import release as release_run

    for run, folder in zip(runs, folders, strict=True):
        file = release_run(folder)
        print(f"{run}: {file} ({file.stat().st_size / 1e6:.2f} MB)")
