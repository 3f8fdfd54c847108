"""A folder in which images of digits can be scored: parameters, an untrained judge, its reference."""

from pathlib import Path

import torch
import yaml

from modescope.config import load_params
from modescope.evaluation.extractors import load_extractors
from modescope.evaluation.reference import build_reference, save_reference
from modescope.files import write_json
from modescope.models.classifiers import build_classifier
from modescope.models.weights import save_weights
from modescope.scoring.place import find_place
from small_runs import CLASSES

REPOSITORY = Path(__file__).parents[1]
EVALUATION = {
    "num_samples": 200,
    "neighbours": 3,
    "prdc_samples": 100,
    "kid_subsets": 3,
    "kid_subset_size": 20,
    "is_splits": 2,
}


def write_place() -> None:
    """Write params.yaml, and study 3's judge and reference, to the working folder."""
    params = yaml.safe_load((REPOSITORY / "profiles" / "standard.yaml").read_text(encoding="utf-8"))
    params["evaluation"] |= EVALUATION
    params["cgan"]["per_class_samples"] = 6
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    place = find_place("cgan", load_params())
    settings = {"network": "digit-cnn", "widths": [2, 2, 2, 4], "role": "judge"}
    torch.manual_seed(0)
    save_weights(build_classifier("digit-cnn", settings["widths"], 10, 1, "judge").state_dict(), place.judge)
    info = {"run": "grey-judge", "params": {"classifiers": {"grey-judge": settings}}, "data": {"classes": CLASSES}}
    write_json(place.judge / "run.json", info)
    real = torch.randint(0, 256, (150, 1, 28, 28), dtype=torch.uint8)
    extractors = load_extractors(["judge"], place.judge, "cpu")
    reference = build_reference("split1", real, torch.arange(150) % 10, 10, extractors, load_params().evaluation)
    save_reference(reference, place.reference)
    data = {"name": "digits", "classes": CLASSES, "split": "split1"}
    write_json(place.reference / "run.json", {"data": data, "key": "aa"})
