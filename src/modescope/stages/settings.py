"""Stage `settings`: every training run of studies 2 and 3 with all its settings, so that only what changed runs."""

from pathlib import Path
from typing import Any

from modescope.config import GANConfig, Params, load_params
from modescope.errors import UserError
from modescope.files import atomic_path, root, sha256, write_json
from modescope.process import run_stage

TOP = "top"  # among the runs' names


def main(out: Path) -> None:
    """Write one JSON file per training run to a folder of its study in OUT: what it reads, and nothing else."""
    params = load_params()
    studies = {"two-stage": two_stage(params), "cgan": cgan(params)}
    with atomic_path(out) as folder:
        for study, files in studies.items():
            for run, settings in files.items():
                write_json(folder / study / f"{run}.json", settings)
    print(f"settings of {sum(map(len, studies.values())) - 1} training runs")


def two_stage(params: Params) -> dict[str, dict[str, Any]]:
    """Study 2's settings by run name, and as they stand at the top of params.yaml.

    A stage-1 checkpoint is named by its content, too.
    """
    files = {TOP: {name: getattr(params, name) for name in GANConfig.model_fields}}
    files |= {name: params.stage1_config(name).model_dump() for name in params.two_stage.stage1}
    files |= {f"stage2-{row}": params.stage2_config(row).model_dump() for row in params.two_stage.rows}
    return {run: settings | _checkpoint_digest(settings["stage1_checkpoint"]) for run, settings in files.items()}


def cgan(params: Params) -> dict[str, dict[str, Any]]:
    """Study 3's settings by run name: every row, some with further seeds, and stacked digits."""
    runs = [(row, params.seed) for row in params.cgan.rows]
    runs += [(row, seed) for row in params.seeds.rows for seed in params.seeds.more]
    files = {params.run_name(row, seed): {"seed": seed, **params.cgan.config(row).model_dump()} for row, seed in runs}
    stacked = {"seed": params.seed, "num_images": params.stacked.num_images}
    return files | {
        f"stacked-{loss}": {**stacked, **params.stacked_config(loss).model_dump()} for loss in params.stacked.losses
    }


def _checkpoint_digest(named: str | None) -> dict[str, str]:
    if named is None:
        return {}
    if not (root() / named).is_file():
        raise UserError(
            f"stage1_checkpoint={named}: {root() / named} is no file; "
            "name a model.safetensors of stage 1, or set it to null"
        )
    return {"checkpoint_sha256": sha256(root() / named)}


if __name__ == "__main__":
    run_stage(main)
