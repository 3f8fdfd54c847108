"""The command line: `modescope COMMAND`; `modescope --help` lists the commands.

Heavy imports happen inside the commands.
"""

import json
import subprocess
import sys
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from modescope.errors import UserError
from modescope.export.command import export, release
from modescope.own.command import data
from modescope.parallel.command import sweep
from modescope.process import exit_readably, stop_on_signals
from modescope.scoring.compare import compare
from modescope.scoring.figures import figures
from modescope.scoring.play import play

app = typer.Typer(name="modescope", no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


def main() -> None:
    """The `modescope` command. Exit codes: 0 done, 2 the user's input (one line on stderr), 1 our fault."""
    stop_on_signals()
    exit_readably(app)


def show_version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        print(f"modescope {version('modescope')}")
        raise typer.Exit()


@app.callback()
def in_the_repository(
    _version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version")
    ] = False,
) -> None:
    """Measure mode collapse in small image generators, and test the cures."""
    # Files would be looked for, and made, in the wrong place.
    here = Path.cwd()
    top = next((folder for folder in here.parents if (folder / "dvc.yaml").exists()), None)
    if top is not None and not (here / "dvc.yaml").exists() and (top / "params.yaml").exists():
        raise UserError(f"this folder lies in the repository {top}: run `modescope` there")


@app.command(epilog="Example: modescope use demo")
def use(
    profile: Annotated[str, typer.Argument(help="demo, standard or paper: a file in profiles/")],
    verbose: Annotated[bool, typer.Option("--verbose", help="Print every value that changed")] = False,
) -> None:
    """Write a profile's values to params.yaml, bring back its data and models, and say what changed."""
    from modescope.config.profiles import in_short, use_profile
    from modescope.doctor.processes import refuse_a_pipeline_at_work
    from modescope.files import root

    refuse_a_pipeline_at_work(root())
    changes = use_profile(profile)
    print("\n".join(changes if verbose else in_short(changes)) or "nothing changed")


app.command(epilog="Example: modescope data ~/flowers --write")(data)


@app.command(epilog="Example: modescope repro report-cgan -j 2")
def repro(
    targets: Annotated[
        list[str] | None, typer.Argument(help="Stages, as `dvc repro` takes them [default: all]")
    ] = None,
    jobs: Annotated[int | None, typer.Option("-j", help="Stages at a time, at most [default: one per core]")] = None,
    on: Annotated[str | None, typer.Option(help="ray, or ray://HOST:PORT: on a cluster [default: here]")] = None,
) -> None:
    """Run the pipeline's stages side by side; what is left is what `dvc repro` leaves. Exit codes as that has them."""
    from modescope.parallel.driver import repro as run_stages

    raise typer.Exit(run_stages(targets or (), jobs, on))


app.command(epilog="Example: modescope sweep -S 'ce_loss_weight=0.1,1.0' -S 'n_gen=5,20' report-two-stage")(sweep)


app.command(epilog="Example: modescope compare gan-split4 vae-split4, or modescope compare 'cgan-*' --html page.html")(
    compare
)


app.command(epilog="Example: modescope figures cgan --pdf figures")(figures)


@app.command(epilog="Example: modescope sync")
def sync() -> None:
    """File every run that lies in models/, data/ and metrics/ in MLflow. Safe to repeat."""
    from modescope.mlflow import filing

    done = filing.sync()
    for run, action in done:
        print(f"{run}: {action}")
    if not done:
        print("no runs here: `dvc repro` makes them, `dvc pull` fetches them")
    left_out = sum(action.startswith(filing.LEFT_OUT) for _, action in done)
    if left_out:
        raise UserError(f"{left_out} of {len(done)} runs were left out: mend or delete the files that are named above")


@app.command(epilog="Example: modescope ui --port 5001")
def ui(
    port: Annotated[int, typer.Option(help="Port to listen on", min=1, max=65535)] = 5000,
    host: Annotated[
        str, typer.Option(help="0.0.0.0 lets everybody in your network in, without a password, by IP address")
    ] = "127.0.0.1",
) -> None:
    """Show all runs in MLflow, on their charts."""
    from modescope.mlflow.ui import serve

    serve(port, host)


@app.command(epilog="Example: modescope sample cgan-ours --label 8 --seed 7 --out eight.png")
def sample(
    run: Annotated[str, typer.Argument(help="A trained model: a folder in models/*/")],
    out: Annotated[
        Path, typer.Option(help="FILE.png (a sheet) or FILE.npz (images, and labels where the run has them)")
    ],
    n: Annotated[
        int | None, typer.Option("-n", help="How many images [default: 1; with --grid 8 of every class, or 64]", min=1)
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            help="Decides everything; the same seed and another label give the same latent vectors",
            min=0,
            max=2**63 - 1,
        ),
    ] = 0,
    label: Annotated[
        int | None, typer.Option(help="The class of all images, for a run that was trained with labels")
    ] = None,
    grid: Annotated[bool, typer.Option("--grid", help="A column of images for every class")] = False,
    scale: Annotated[
        int | None, typer.Option(help="Screen pixels for each of an image's, in a PNG [default: large enough]", min=1)
    ] = None,
) -> None:
    """Draw images from a trained model."""
    if out.suffix not in (".npz", ".png"):
        raise UserError(f"{out} is neither .npz nor .png: name the file one of them")
    from modescope.runs.folder import read_run
    from modescope.runs.listing import RELEASED, find_generator

    folder = find_generator(run, released=True)  # an unknown name is refused before torch is imported
    if folder.is_relative_to(RELEASED):
        info = read_run(folder)
        of = f"{info['data']['name']}, {info.get('steps', 0):,} steps, key {info['key']}"
        print(f"models/ has no {run}: this is the released one ({of}), see {folder}/README.md")

    from modescope.evaluation.loaders import load_sampler
    from modescope.export.samples import save_arrays, save_sheet, wanted_labels

    sampler = load_sampler(folder)
    columns = sampler.num_classes if grid and label is None else None
    count = n or (8 * (columns or 8) if grid else 1)
    drawn = sampler.sample(count, seed, wanted_labels(count, label, columns))
    if out.suffix == ".png":
        save_sheet(drawn, out, columns, scale)
    else:
        save_arrays(drawn, out)
    print(f"{len(drawn.images)} images of {run}, seed {seed}: {out}")


app.command(epilog="Example: modescope export cgan-ours --to onnx --int8 --measure 10000")(export)


app.command(epilog="Example: modescope release cgan-ours")(release)


@app.command(epilog="Example: modescope score samples.npz --study cgan")
def score(
    images: Annotated[Path, typer.Argument(help="FILE.npz (images, labels), or a FOLDER of pictures or of classes")],
    study: Annotated[str, typer.Option(help="Whose judge and reference: cgan, or imbalance/SPLIT")],
    name: Annotated[str | None, typer.Option(help="What the run is called [default: as the file]")] = None,
    labels: Annotated[
        bool | None, typer.Option(help="Whether labels say what images are meant to be [default: where there are any]")
    ] = None,
    values: Annotated[str | None, typer.Option("--range", help="Of floats: unit ([0, 1]) or signed ([-1, 1])")] = None,
    skip_broken: Annotated[bool, typer.Option("--skip-broken", help="Leave out pictures that cannot be read")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the metrics alone, as JSON")] = False,
) -> None:
    """Measure images that any generator made as our own are: same judge, reference, metrics, floor and warnings."""
    from modescope.config import load_params
    from modescope.scoring.place import find_place
    from modescope.threads import fix_threads

    params = load_params()
    place = find_place(study, params)
    classes = place.described()["classes"]
    fix_threads(params.threads)  # before torch loads

    from modescope.report.tables import to_markdown
    from modescope.scoring.images import as_used, read_images
    from modescope.scoring.score import score as score_images

    given = as_used(read_images(images, place.shape, classes, values, skip_broken), labels, images)
    with redirect_stdout(sys.stderr):
        scored = score_images(given, place, name or images.stem, params)
    print(json.dumps(scored.metrics, indent=2) if as_json else to_markdown(scored.table))


app.command(epilog="Example: modescope play, or modescope play --file gan-vs-human.json")(play)


@app.command(epilog="Example: modescope inside cgan-bce-text")
def inside(run: Annotated[str, typer.Argument(help="A trained model: a folder in models/*/")]) -> None:
    """Write a page on what a trained model misses, where it fails, what it copies, and how smooth it is."""
    from modescope.config import load_params
    from modescope.runs.listing import find_generator
    from modescope.threads import fix_threads

    folder, params = find_generator(run), load_params()
    fix_threads(params.threads)  # before torch loads

    from modescope.scoring.place import looked_at
    from modescope.stages.inside import main as look_inside

    look = looked_at(folder)
    if run not in params.inside.of(look.study):  # those are the pipeline's own
        look_inside(folder, *look.arguments)
    print(f"{run}: {look.write_page(params, Path('exports', 'inside', run))}")


@app.command(epilog="Example: modescope doctor --mend")
def doctor(
    mend: Annotated[bool, typer.Option("--mend", help="Mend what can be mended without losing work")] = False,
) -> None:
    """Find what killed commands left behind in the repository and in MLflow. Exit code 2 if something stays wrong."""
    from modescope import doctor as the_doctor

    if not the_doctor.examine(mend):
        raise typer.Exit(2)


@app.command(epilog="Example: modescope promote cgan-ours --alias best")
def promote(
    run: Annotated[str, typer.Argument(help="A trained model: a folder in models/*/")],
    alias: Annotated[str, typer.Option(help="The alias that shall name it")] = "best",
) -> None:
    """Register a run's model in MLflow, from where anybody can load it."""
    from modescope.mlflow.promote import promote as promote_run
    from modescope.runs.listing import find_generator, refuse_unfinished

    refuse_unfinished(run)
    done = promote_run(find_generator(run), alias)
    made = "is" if done.is_new else "was already"
    print(f"{run} {made} version {done.version} of {done.model}, alias {alias}: {done.link}")
    if done.no_onnx:
        print(f"without the ONNX flavour: {done.no_onnx}")
    print(
        f'mlflow.pyfunc.load_model("models:/{done.model}@{alias}").predict(pandas.DataFrame({{"n": [8], "seed": [7]}}))'
    )


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []})
def bench(context: typer.Context) -> None:
    """Measure each training loop and the evaluation against plain ones (--help lists the options)."""
    if not Path("benchmarks/bench.py").exists():
        raise UserError("no benchmarks/ here: `modescope bench` runs in the root of Modescope's repository")
    raise typer.Exit(subprocess.run([sys.executable, "-m", "benchmarks.bench", *context.args]).returncode)


if __name__ == "__main__":
    main()
