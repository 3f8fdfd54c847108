"""What a person drew on the game's page, and how the judge saw it there: read, and filed as a run."""

import base64
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from modescope.config import load_params
from modescope.config.base import Name, Section, resolve
from modescope.errors import UserError
from modescope.files import write_json
from modescope.mlflow.filing import push
from modescope.pictures import grid
from modescope.report.brief import metrics_file
from modescope.runs.key import describe_run, work_folder
from modescope.runs.listing import SCORED
from modescope.runs.log import RunLog
from modescope.scoring.place import find_place
from modescope.scoring.score import refuse_name

LARGEST = 10_000_000  # bytes of a result


class Drawing(Section):
    """A digit as the judge saw it: `log_odds` of the one asked for, the class it was `read` as, `pixels` in base64."""

    log_odds: float
    read: Annotated[int, Field(ge=0)]
    pixels: str


class Round(Section):
    """A digit that both sides drew."""

    digit: Annotated[int, Field(ge=0)]
    yours: Drawing
    theirs: Drawing

    @property
    def margin(self) -> float:
        """By how much the person's log-odds are the higher ones."""
        return self.yours.log_odds - self.theirs.log_odds


class Game(Section):
    """A result as the page saves it."""

    format: Literal["modescope-game"]
    version: Literal[1]
    started: str
    seconds: Annotated[float, Field(gt=0, le=10)]
    against: Literal["generator", "real"]
    data: Name
    classes: Annotated[list[Name], Field(min_length=2)]
    side: Annotated[int, Field(ge=8, le=256)]
    runs: dict[str, dict[str, str]]
    rounds: Annotated[list[Round], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def _digits_are_whole(self) -> "Game":
        for each in self.rounds:
            if max(each.digit, each.yours.read, each.theirs.read) >= len(self.classes):
                raise ValueError(f"a digit other than those of {len(self.classes)} classes")
            for drawing in (each.yours, each.theirs):
                if len(base64.b64decode(drawing.pixels, validate=True)) != self.side**2:
                    raise ValueError(f"pixels of another number than {self.side} x {self.side}")
        return self

    def metrics(self) -> dict[str, Any]:
        """Rounds and rounds won, means of margin and log-odds, shares of digits that were read as meant."""
        count, margins = len(self.rounds), [each.margin for each in self.rounds]
        won = sum(margin > 0 for margin in margins)
        found = {"rounds": count, "won": won, "win_rate": won / count, "margin": sum(margins) / count}
        for name, side in {"human": "yours", "opponent": "theirs"}.items():
            drawn = [(each.digit, getattr(each, side)) for each in self.rounds]
            found[f"{name}_log_odds"] = sum(drawing.log_odds for _, drawing in drawn) / count
            found[f"{name}_accuracy"] = sum(drawing.read == digit for digit, drawing in drawn) / count
        return found

    def images(self) -> Tensor:
        """The person's drawings, then the opponent's: (2N, 1, H, W) uint8."""
        both = [each.yours for each in self.rounds] + [each.theirs for each in self.rounds]
        pixels = bytearray(b"".join(base64.b64decode(drawing.pixels) for drawing in both))
        return torch.frombuffer(pixels, dtype=torch.uint8).view(-1, 1, self.side, self.side)


def read_game(path: Path) -> Game:
    """Raises UserError for a file that is no result of the page."""
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it is larger than {LARGEST / 1e6:.0f} MB")
        return resolve(Game, json.loads(path.read_text(encoding="utf-8")), "it")
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): name a file that the game's page saved") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no result of the game ({error}): save it on the page once more") from None


def file_game(path: Path, name: str) -> tuple[str, dict[str, Any]]:
    """File the result `path` as a run `name` of study 3; return the name and the metrics.

    Raises UserError for a file that is no result, or a name that is none or is taken.
    """
    game, place = read_game(path), find_place("cgan", load_params())
    refuse_name(name, place)
    metrics, out = game.metrics(), SCORED / place.study / name
    info = describe_run(
        module="modescope.scoring.drawn",
        study=place.study,
        run=name,
        model="given",
        params={"seconds_to_draw": game.seconds, "against": game.against, "played": game.started, "runs": game.runs},
        inputs={"result": path},
        data={"name": game.data, "classes": list(game.classes), "split": None},
        hardware={"device": "cpu", "precision": "fp32"},
    )
    with RunLog(info, work_folder(info), push) as log:
        for number, each in enumerate(game.rounds, 1):
            odds = {"human/log_odds": each.yours.log_odds, "opponent/log_odds": each.theirs.log_odds}
            log.log(odds | {"margin": each.margin}, number)
        log.image("drawings", grid(game.images(), columns=len(game.rounds)), 0)
        log.finish(out)
    write_json(metrics_file(place.study, name), metrics)
    push(out, metrics)
    return name, metrics
