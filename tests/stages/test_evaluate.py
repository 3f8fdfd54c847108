from pathlib import Path

import pytest
import torch
import yaml

from modescope.config import load_params
from modescope.errors import UserError
from modescope.evaluation.extractors import load_extractors
from modescope.evaluation.reference import build_reference, save_reference
from modescope.evaluation.samplers import Samples
from modescope.files import read_json, write_json
from modescope.models.classifiers import build_classifier
from modescope.models.weights import save_weights
from modescope.stages import evaluate

PARAMS = Path("params.yaml").resolve()
EVALUATION = {"num_samples": 40, "prdc_samples": 40, "kid_subsets": 3, "kid_subset_size": 10, "is_splits": 2}
RUN = {"model": "gan", "data": {"split": "split1"}, "seconds": 12.5, "steps_per_second": 80.0}


class NoiseSampler:
    """Stands for a trained model, with or without labels."""

    def __init__(self, num_classes: int | None = None):
        self.num_classes = num_classes

    def sample(self, count: int, seed: int, labels=None) -> Samples:
        return Samples(noise(count, seed), None if self.num_classes is None else torch.arange(count) % self.num_classes)


def noise(count: int, seed: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def pushed(tmp_path, monkeypatch):
    """A working folder with an untrained judge, a reference set and a run of noise; collects what is filed."""
    params = yaml.safe_load(PARAMS.read_text())
    params["evaluation"] |= EVALUATION
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODESCOPE_DEVICE", "cpu")
    settings = {"network": "resnet", "widths": [4, 6], "role": "judge"}
    torch.manual_seed(0)
    save_weights(build_classifier("resnet", [4, 6], 4, 3, "judge").state_dict(), Path("judge"))
    write_json(
        Path("judge/run.json"),
        {"run": "judge", "params": {"classifiers": {"judge": settings}}, "data": {"classes": list("abcd")}},
    )
    extractors = load_extractors(["judge"], Path("judge"), "cpu")
    labels = torch.arange(60) % 3
    save_reference(
        build_reference("split1", noise(60, seed=0), labels, 4, extractors, load_params().evaluation), Path("reference")
    )
    write_json(Path("run/run.json"), RUN)
    calls = []
    monkeypatch.setattr(evaluate, "push", lambda *arguments: calls.append(arguments))
    monkeypatch.setattr(evaluate, "load_sampler", lambda folder, device: NoiseSampler())
    return calls


def measure():
    evaluate.main(Path("run"), Path("reference"), Path("judge"), Path("metrics/imbalance/run.json"))
    return read_json(Path("metrics/imbalance/run.json"))


def test_metrics_are_written_and_filed(pushed):
    metrics = measure()
    assert (metrics["num_samples"], metrics["num_reference"]) == (40, 60)
    assert (metrics["seconds"], metrics["steps_per_second"]) == (12.5, 80.0)
    assert metrics["reference_share"] == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])
    assert len(metrics["class_share"]) == 4 and metrics["fid_classifier"] > 0 and "class_consistency" not in metrics
    assert pushed == [(Path("run"), metrics)]


def test_labels_are_what_the_judge_is_asked_about(pushed, monkeypatch):
    monkeypatch.setattr(evaluate, "load_sampler", lambda folder, device: NoiseSampler(4))
    metrics = measure()
    assert [sum(row) for row in metrics["confusion"]] == [10, 10, 10, 10]
    assert metrics["class_consistency"] == pytest.approx(sum(metrics["class_consistency_per_class"]) / 4)


def test_same_seed_same_bytes(pushed):
    measure()
    first = Path("metrics/imbalance/run.json").read_bytes()
    measure()
    assert Path("metrics/imbalance/run.json").read_bytes() == first


def test_a_run_without_speed_has_no_speed(pushed):
    write_json(Path("run/run.json"), {"model": "vae-gmm", "data": {"split": "split1"}, "seconds": 1.5})
    metrics = measure()
    assert metrics["seconds"] == 1.5 and "steps_per_second" not in metrics


def retrain_judge():
    torch.manual_seed(1)
    save_weights(build_classifier("resnet", [4, 6], 4, 3, "judge").state_dict(), Path("judge"))


def turn_judge_into_guide():
    info = read_json(Path("judge/run.json"))
    info["params"]["classifiers"]["judge"]["role"] = "guide"
    write_json(Path("judge/run.json"), info)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda: write_json(Path("run/run.json"), RUN | {"data": {"split": "split2"}}),
            "trained on split2, reference holds split1",
        ),
        (lambda: Path("run/run.json").unlink(), "run.json is missing"),
        (lambda: Path("reference/reference.safetensors").unlink(), "reference.safetensors is missing"),
        (retrain_judge, "was not made with this judge"),
        (turn_judge_into_guide, "is a guide"),
    ],
    ids=["another split", "no run", "no reference", "retrained judge", "guide"],
)
def test_bad_input_leaves_nothing(pushed, spoil, message):
    spoil()
    with pytest.raises(UserError, match=message):
        measure()
    assert pushed == [] and not Path("metrics").exists()
