"""Stage `game`: the page on which a person draws against a generator, both networks inside."""

from pathlib import Path

from modescope.data.prepared import load_prepared
from modescope.evaluation.loaders import load_sampler
from modescope.game.page import write_game
from modescope.models.classifiers import load_judge
from modescope.process import run_stage
from modescope.runs.folder import read_run


def main(run: Path, judge: Path, data: Path, out: Path) -> None:
    """Write the page OUT: the generator of RUN, the JUDGE who decides, and some test digits of DATA."""
    infos = read_run(run), read_run(judge)
    write_game(load_sampler(run), load_judge(judge), load_prepared(data / "test.safetensors"), infos, out)
    print(f"game: {out} ({out.stat().st_size / 1e6:.2f} MB), `modescope play` serves it")


if __name__ == "__main__":
    run_stage(main)
