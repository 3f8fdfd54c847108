"""The stages `settings`, `stage1` and `stage2` on tiny data."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from modescope.config import GANConfig, Stage1Config, load_params, profile_values
from modescope.data.batches import to_uint8
from modescope.errors import UserError
from modescope.evaluation.loaders import load_sampler
from modescope.files import read_json, write_json
from modescope.models.classifiers import build_classifier
from modescope.models.weights import save_weights
from modescope.pictures import grid
from modescope.runs.folder import WEIGHTS_FILE
from modescope.runs.log import RunLog
from modescope.stages import settings, stage1, stage2
from modescope.training import two_stage
from modescope.training.adversarial import preview_latents
from small_gans import ROWS, SMALL

SETTINGS, STUDY2, DATA, SPLIT, GUIDE, STAGE1 = (
    Path("settings"),
    Path("settings/two-stage"),
    Path("data/rgb"),
    Path("data/splits/balanced.json"),
    Path("guide"),
    Path("models/stage1"),
)
LETTERS = {"A": "A", "B": "B", "C": "C", "D": "D", "D-conv": "D"}
CURVES = {
    "d_loss",
    "d_real",
    "d_fake",
    "g_loss",
    "g_adversarial",
    "g_class",
    "g_gradient",
    "g_adversarial_gradient",
    "g_class_gradient",
}


@pytest.fixture(scope="module", autouse=True)
def project(make_project):
    """Small networks, few steps, a row of every architecture, an untrained guide, a stage 1."""
    params = (
        profile_values("demo")
        | SMALL
        | {"precision": "fp32", "stage1_max_generator_steps": 2, "stage2_max_generator_steps": 6}
    )
    params["two_stage"]["rows"] = {name: {"from": "stage1", **row} for name, row in ROWS.items()}
    params["two_stage"]["rows"]["A"]["ce_loss_weight"] = 0.1
    make_project(params)
    save_classifier(GUIDE)
    settings.main(SETTINGS)
    stage1.main(STUDY2 / "stage1.json", DATA, SPLIT, STAGE1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(two_stage, "START_IMAGES", 64)
        yield


def save_classifier(folder, role="guide", data="digits-rgb"):
    torch.manual_seed(0)
    save_weights(build_classifier("airbench96", [4, 6, 8], 10, 3, role).state_dict(), folder)
    of_run = {"classifiers": {"rgb": {"network": "airbench96", "widths": [4, 6, 8], "role": role}}}
    write_json(
        folder / "run.json",
        {"run": "rgb", "params": of_run, "data": {"name": data, "classes": [str(digit) for digit in range(10)]}},
    )


def texts(folder):
    return {file.name: file.read_text() for file in (folder / "two-stage").iterdir()}


def pixels(out, step):
    return np.asarray(Image.open(out / "samples" / f"step-{step:06d}.png"))


def train(row, out, start=STAGE1, guide=GUIDE, described=SETTINGS, split=SPLIT):
    stage2.main(described / f"two-stage/stage2-{row}.json", start, guide, DATA, split, out)
    return out


def trained(row):
    """The row's run, from whichever test came first."""
    out = Path("models") / row
    return out if out.exists() else train(row, out)


def test_settings_are_what_each_training_reads():
    assert texts(SETTINGS).keys() == {"top.json", "stage1.json", *(f"stage2-{row}.json" for row in ROWS)}
    assert read_json(STUDY2 / "top.json") == load_params().model_dump(include=set(GANConfig.model_fields))
    assert read_json(STUDY2 / "stage1.json") == load_params().stage1_config("stage1").model_dump()
    assert read_json(STUDY2 / "stage1.json").keys() == Stage1Config.model_fields.keys()
    for row in ROWS:
        assert read_json(STUDY2 / f"stage2-{row}.json") == load_params().stage2_config(row).model_dump()


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"ce_loss_weight": 0.7}, {"stage1.json", "stage2-A.json"}),  # A states its own
        ({"n_gen": 3, "sft_ff_dim": 9}, {"stage1.json"}),
        ({"seed": 7}, set()),
        ({"imbalance": {"gan": {"width": 16}}}, {"top.json", "stage1.json", *(f"stage2-{row}.json" for row in ROWS)}),
    ],
)
def test_only_what_changed_is_trained_again(changes, kept, change_params, tmp_path):
    change_params(changes)
    settings.main(tmp_path / "settings")
    before, after = texts(SETTINGS), texts(tmp_path / "settings")
    assert before.keys() == after.keys() and {name for name in before if before[name] == after[name]} == kept


def test_a_stage1_is_a_run():
    info = read_json(STAGE1 / "run.json")
    assert (info["study"], info["run"], info["model"], info["status"], info["steps"]) == (
        "two-stage",
        "stage1",
        "stage1",
        "finished",
        2,
    )
    shared = {"threads": 1, "precision": "fp32", "deterministic": True}
    assert info["params"] == {**shared, **read_json(STUDY2 / "stage1.json")}
    assert info["data"]["name"] == "digits-rgb" and info["data"]["split"] == "balanced"
    assert {file.name for file in STAGE1.glob("samples/*")} == {"step-000001.png", "step-000002.png"}
    assert load_sampler(STAGE1).sample(5, seed=0).labels.shape == (5,)


@pytest.mark.parametrize("row", ROWS)
def test_a_stage2_is_a_run(row):
    out = trained(row)
    info = read_json(out / "run.json")
    assert (info["study"], info["run"], info["model"], info["status"], info["steps"]) == (
        "two-stage",
        f"stage2-{row}",
        "stage2",
        "finished",
        3,
    )
    assert info["architecture"] == LETTERS[row]
    assert ("adapter_parameters" in info and info["start_mse"] > 0) == (row != "A")
    curves = pd.read_csv(out / "curves.csv")
    assert curves["step"].tolist() == [1, 2, 3] and {name.removeprefix("train/") for name in curves} >= CURVES
    assert (pixels(out, 0) != pixels(out, 3)).any()
    assert row != "A" or (pixels(out, 0) == pixels(STAGE1, 2)).all()  # A goes on where stage 1 ended


@pytest.mark.parametrize("row", ROWS)
def test_a_stage2_is_sampled_with_labels(row):
    out = trained(row)
    sampler = load_sampler(out)
    (images, labels), (repeated, _), (other, _) = (sampler.sample(30, seed) for seed in (0, 0, 1))
    assert images.shape == (30, 3, 32, 32) and images.dtype == torch.uint8
    assert labels.shape == (30,) and labels.dtype == torch.int64 and len(labels.unique()) > 5 and labels.max() < 10
    assert torch.equal(images, repeated) and not torch.equal(images, other)
    generator = sampler.generator.to(memory_format=torch.channels_last)  # as in training: the same kernels, to the bit
    with torch.no_grad():
        shown = to_uint8(generator(preview_latents(sampler.prior, torch.device("cpu")).z), low=-1.0)
    assert (grid(shown).numpy() == pixels(out, 3)).all()  # what the training showed last


def test_adapter_facts():
    info = read_json(trained("D") / "run.json")
    assert info["adapter_parameters"] == (10 * 10 + 10) + (3072 * 8 + 8 + 8 * 3072 + 3072)


def test_the_same_run_twice_is_the_same_to_the_bit():
    repeated = train("D-conv", Path("models/repeated"))
    assert (repeated / WEIGHTS_FILE).read_bytes() == (trained("D-conv") / WEIGHTS_FILE).read_bytes()
    assert read_json(repeated / "run.json")["key"] == read_json(trained("D-conv") / "run.json")["key"]


@pytest.mark.parametrize("row", ["A", "C"])
def test_killed_and_resumed_is_the_same_to_the_bit(row, monkeypatch):
    whole, cut = trained(row), Path(f"models/cut-{row}")
    monkeypatch.setenv("MODESCOPE_CHECKPOINT_SECONDS", "0")
    log = RunLog.log

    def log_and_die(self, metrics, step):
        log(self, metrics, step)
        if step == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RunLog, "log", log_and_die)
        train(row, cut)
    assert not cut.exists()
    train(row, cut)
    assert read_json(cut / "run.json")["resumed_from_step"] == 1
    for name in (WEIGHTS_FILE, "curves.csv", "samples/step-000000.png", "samples/step-000003.png"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes(), name


def give_checkpoint(change_params, folder, **changes):
    change_params({"stage1_checkpoint": str(STAGE1 / WEIGHTS_FILE), **changes})
    settings.main(folder)


def test_stage1_can_be_given(change_params):
    given, out = Path("given"), Path("models/given")
    give_checkpoint(change_params, given)
    stage1.main(given / "two-stage/stage1.json", DATA, SPLIT, out)
    info = read_json(out / "run.json")
    assert info["steps"] == 0 and info["params"]["checkpoint_sha256"] == info["weights_sha256"]
    assert (out / WEIGHTS_FILE).read_bytes() == (STAGE1 / WEIGHTS_FILE).read_bytes()
    assert (pixels(out, 0) == pixels(STAGE1, 2)).all()
    goes_on = train("D", Path("models/goes-on"), start=out, described=given)
    assert (goes_on / WEIGHTS_FILE).read_bytes() == (trained("D") / WEIGHTS_FILE).read_bytes()


def test_a_checkpoint_that_changes_is_another_setting(change_params, tmp_path):
    change_params({"stage1_checkpoint": str(tmp_path / WEIGHTS_FILE)})
    found = []
    for content in (b"one", b"two"):
        (tmp_path / WEIGHTS_FILE).write_bytes(content)
        settings.main(Path("data/given"))
        found.append(texts(Path("data/given")))
    assert not found[0].items() & found[1].items()


@pytest.mark.parametrize("named", ["none/model.safetensors", "models/stage1"])
def test_a_checkpoint_that_is_no_file_is_refused(named, change_params):
    change_params({"stage1_checkpoint": named})
    with pytest.raises(
        UserError, match=f"stage1_checkpoint={named}: .+ is no file; name a model.safetensors of stage 1"
    ) as refusal:
        settings.main(Path("refused"))
    assert "\n" not in str(refusal.value) and not Path("refused").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ngf": 4}, "holds no stage 1 of latent_dim 10, ngf 4, ndf 2 .+: set them as it was trained"),
        ({"prior": "sphere"}, "was not trained on the prior `sphere`: set `prior` as it was trained"),
    ],
)
def test_a_checkpoint_of_other_settings_is_refused(changes, message, change_params, tmp_path, refused):
    give_checkpoint(change_params, tmp_path, **changes)
    with pytest.raises(UserError, match=message) as refusal:
        stage1.main(tmp_path / "two-stage/stage1.json", DATA, SPLIT, refused)
    assert "\n" not in str(refusal.value)


@pytest.fixture
def refused(tmp_path):
    """Where a run would lie that must not come about, and no work folder for it either."""
    before = set(Path(".ckpt").iterdir())
    yield tmp_path / "refused"
    assert set(Path(".ckpt").iterdir()) == before and not (tmp_path / "refused").exists()


def another_stage1(folder, weights=True, **params):
    """Stage 1's folder with other params in run.json."""
    shutil.copytree(STAGE1, folder)
    info = read_json(folder / "run.json")
    write_json(folder / "run.json", info | {"params": info["params"] | params})
    if not weights:
        (folder / WEIGHTS_FILE).unlink()
    return folder


def another_guide(folder, **options):
    save_classifier(folder, **options)
    return folder


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda at: {"start": another_stage1(at, prior="sphere")},
            "was trained on the prior sphere, the settings say diagonal",
        ),
        (lambda at: {"start": at}, "run.json is missing: run `dvc repro`"),
        (lambda at: {"start": another_stage1(at, weights=False)}, "model.safetensors is missing: run `dvc repro"),
        (
            lambda at: {"guide": another_guide(at, data="cifar10")},
            "was trained on cifar10, the generator's images are digits-rgb",
        ),
        (
            lambda at: {"guide": another_guide(at, role="judge")},
            "is a judge: what measures a generator must not teach it; name a guide",
        ),
        (lambda at: {"guide": at}, "is missing: run `dvc repro`"),
        (lambda at: {"described": at}, "stage2-D.json is missing"),
        (lambda at: {"split": at / "none.json"}, "none.json is missing"),
    ],
    ids=["other prior", "no stage 1", "no weights", "other data", "judge", "no guide", "no settings", "no split"],
)
def test_what_does_not_fit_together_is_refused(make, message, tmp_path, refused):
    with pytest.raises(UserError, match=message) as refusal:
        train("D", refused, **make(tmp_path / "other"))
    assert "\n" not in str(refusal.value)
