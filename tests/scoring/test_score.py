"""`modescope score`: given images are measured as our own are, beside our rows, and filed as a run."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from modescope import cli
from modescope.config import load_params
from modescope.errors import UserError
from modescope.evaluation.loaders import load_sampler
from modescope.export.samples import save_arrays
from modescope.files import read_json, write_json
from modescope.mlflow.record import read_record
from modescope.runs.listing import finished_runs
from modescope.scoring.place import find_place
from modescope.stages import evaluate
from modescope.threads import COUNTS
from small_places import EVALUATION, REPOSITORY, write_place
from small_runs import write_run

OF_A_GENERATOR = {"fixed_z_classes", "seconds", "steps_per_second"}  # what no images alone can have


@pytest.fixture(autouse=True)
def pushed(tmp_path, monkeypatch):
    """A folder with a judge of digits, their reference and a run; collects what is filed."""
    monkeypatch.chdir(tmp_path)
    for name in COUNTS:
        monkeypatch.setenv(name, "1")
    write_place()
    write_json(Path("metrics/cgan/real-digits.json"), {"num_samples": 90, "fid_classifier": 0.5})
    calls = []
    monkeypatch.setattr("modescope.scoring.score.push", lambda folder, *given, **_: calls.append((folder, *given)))
    monkeypatch.setattr(evaluate, "push", lambda *given: None)
    return calls


def score(path, capsys, **options) -> dict:
    given = {"study": "cgan", "name": None, "labels": None, "values": None, "skip_broken": False, "as_json": True}
    capsys.readouterr()
    cli.score(Path(path), **given | options)
    printed = capsys.readouterr().out
    return json.loads(printed) if options.get("as_json", True) else printed


def save_samples(run: Path, file: str, count: int = EVALUATION["num_samples"]) -> None:
    save_arrays(load_sampler(run).sample(count, load_params().evaluation.seed), Path(file))


def noise(count: int, **options) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 1, 28, 28), **{"dtype": np.uint8} | options)


@pytest.mark.parametrize("run", ["cgan-ours", "dcgan-bce"])
def test_our_own_samples_have_our_own_metrics_to_the_last_digit(run, capsys):
    folder, place = write_run(run), find_place("cgan", load_params())
    evaluate.main(folder, place.reference, place.judge, Path("metrics/cgan/run.json"), per_class=6)
    ours = read_json(Path("metrics/cgan/run.json"))
    save_samples(folder, "mine.npz")
    found = score("mine.npz", capsys)
    assert found == {name: value for name, value in ours.items() if name not in OF_A_GENERATOR}
    assert ("class_consistency" in found) == ("ms_ssim" in found) == (run == "cgan-ours")
    assert read_json(Path("metrics/cgan/mine.json")) == found


def test_it_is_filed_as_a_run_of_its_own(pushed, capsys):
    np.savez("other-gan.npz", images=noise(200))
    found = score("other-gan.npz", capsys)
    out = Path("data/scored/cgan/other-gan")
    assert pushed[-1] == (out, found) and out in finished_runs(Path())
    record = read_record(out, found)
    assert (record.study, record.run, record.status) == ("cgan", "other-gan", "FINISHED")
    assert record.finals["final/fid_classifier"] == found["fid_classifier"] and ("samples", 0) in record.images
    page = record.tags["mlflow.note.content"]
    assert "modescope sample" not in page and "reports/" not in page
    np.savez("other-gan.npz", images=255 - noise(200))
    score("other-gan.npz", capsys)
    assert read_record(out).key != record.key


def test_the_table_stands_beside_our_rows_with_what_to_beware_of(capsys):
    write_json(Path("metrics/cgan/cgan-bce.json"), {"num_samples": 200, "fid_classifier": 123.4})
    images = noise(60)
    images[1] = images[0]
    np.savez("a.npz", images=images, labels=np.arange(60) % 5)
    table = score("a.npz", capsys, name="mine", as_json=False)
    rows = [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| ")]
    assert rows == ["| row", "| :--", "| mine", "| cgan-bce", "| *real images (floor)*"]
    for words in (
        "60 images beside 200 of our rows: FID falls with their number",
        "1 of the images are exact copies of others",
        "no diversity within classes: it takes 6 images of each, found 0",
        "Not measured here: cgan-lsgan, ",
    ):
        assert words in table


def test_labels_are_left_out_where_that_is_said(capsys):
    save_samples(write_run("cgan-ours"), "a.npz")
    assert "class_consistency" in score("a.npz", capsys, labels=True)
    assert "class_consistency" not in score("a.npz", capsys, labels=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"study": "cgn"}, "--study cgn is unknown: there are cgan, imbalance/balanced, "),
        ({"study": "imbalance"}, "--study imbalance is unknown"),
        ({"study": "imbalance/split1"}, "data/reference/split1/run.json is missing: run `dvc repro`"),
        ({"name": "../../docs"}, "`../../docs` is no name for a run"),
        ({"name": "cgan-bce"}, "cgan-bce is a run of the pipeline's own"),
        ({"name": "stacked-real"}, "stacked-real is a run of the pipeline's own"),
        ({"labels": True}, "a.npz says no labels: an .npz file has an array `labels`"),
        ({}, "30 images are too few: the metrics take 50 at least, 200 are as many as our rows have"),
    ],
)
def test_bad_orders_are_refused_and_leave_nothing(options, message, capsys):
    write_json(Path("metrics/cgan/stacked-real.json"), {})
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    params["evaluation"]["kid_subset_size"] = 50
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    np.savez("a.npz", images=noise(30))
    before = sorted(Path().rglob("*"))
    with pytest.raises(UserError, match=message.replace("(", r"\(")) as refused:
        score("a.npz", capsys, **options)
    assert "\n" not in str(refused.value) and sorted(Path().rglob("*")) == before


@pytest.mark.parametrize(("study", "stage"), [("cgan", "evaluate-cgan"), ("imbalance/lt10", "evaluate-imbalance")])
def test_a_place_is_where_the_pipeline_measures(study, stage):
    place = find_place(study, load_params())
    stages = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    command = stages[stage]["cmd"].replace("${item.split}", "lt10").replace("'", "")
    assert f" {place.reference} {place.judge} " in f"{command} ".replace("\n", " ")
    assert ("--per-class" in command) == (place.per_class is not None)
