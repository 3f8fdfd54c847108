"""Stage `settings`: every training of study 2 with all its settings, so that only those that changed run."""

from pathlib import Path
from typing import Any

from modescope.config import GANConfig, Params, load_params
from modescope.errors import UserError
from modescope.files import atomic_path, root, sha256, write_json
from modescope.process import run_stage

TOP = "top"  # among the runs' names


def main(out: Path) -> None:
    """Write one JSON file per training of params.yaml's two_stage to OUT: what it reads, and nothing else."""
    files = resolve(load_params())
    with atomic_path(out) as folder:
        for run, settings in files.items():
            write_json(folder / f"{run}.json", settings)
    print(f"settings of {len(files) - 1} training runs")


def resolve(params: Params) -> dict[str, dict[str, Any]]:
    """Settings by run name, and as they stand at the top of params.yaml.

    A stage-1 checkpoint is named by its content, too.
    """
    files = {TOP: {name: getattr(params, name) for name in GANConfig.model_fields}}
    files |= {name: params.stage1_config(name).model_dump() for name in params.two_stage.stage1}
    files |= {f"stage2-{row}": params.stage2_config(row).model_dump() for row in params.two_stage.rows}
    return {run: settings | _checkpoint_digest(settings["stage1_checkpoint"]) for run, settings in files.items()}


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
