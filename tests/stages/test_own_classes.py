"""Images of somebody's own, of 3 and of 17 classes, go through every kind of stage: nothing counts on ten classes."""

import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from modescope.config import merge, parse_params, profile_values
from modescope.data.slots import SHAPES
from modescope.evaluation.loaders import load_sampler
from modescope.files import read_json
from modescope.own.adopting import adopt, settings_of
from modescope.own.look import look_at
from modescope.stages import (
    cgan,
    classifier,
    coverage,
    download,
    evaluate,
    hybrid,
    imbalance,
    mixture,
    reference,
    settings,
    split,
    stacked,
    stacked_real,
    stage1,
    stage2,
)

RGB, GREY, METRICS = Path("data/rgb"), Path("data/grey"), Path("metrics")
JUDGES, STUDY1, STUDY2, STUDY3 = (Path("models") / name for name in ("classifiers", "imbalance", "two-stage", "cgan"))
BALANCED, TAIL, DIGITS = (
    Path("data/splits/balanced.json"),
    Path("data/splits/lt10.json"),
    Path("data/splits-grey/balanced.json"),
)
SMALL = {
    "stage1_max_generator_steps": 2,
    "stage2_max_generator_steps": 2,
    "imbalance": {
        "splits": ["balanced", "lt10"],
        "ours": ["balanced"],
        "gan": {"width": 8, "max_steps": 2},
        "gan-ours": {"generator_width": 4, "discriminator_width": 4, "generator_steps": 2},
        "vae": {"max_steps": 2, "epochs": 1},
        "mixture": {"components": 2},
    },
    "hybrid": {"max_steps": 2, "num_codes": 20, "permutations": 19},
    "cgan": {"training": {"generator_steps": 2, "batch_size": 8}, "ours": {}},
    "stacked": {"num_images": 40, "num_samples": 60, "training": {"generator_steps": 2}},
    "evaluation": {"num_samples": 240, "prdc_samples": 240, "kid_subsets": 2},
}


@pytest.fixture(params=[3, 17], scope="module")
def classes(request, tmp_path_factory):
    """A working folder whose params.yaml was written for an .npz file of so many classes."""
    folder, count = tmp_path_factory.mktemp("own"), request.param
    values = merge(profile_values("demo"), SMALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DVC_ROOT", str(folder))
        patch.setenv("MODESCOPE_DEVICE", "cpu")
        patch.setattr("modescope.own.fitting.FEWEST_STEPS", 2)
        for module in [module for name, module in sys.modules.items() if name.startswith("modescope.stages.")]:
            patch.setattr(module, "push", lambda *given, **more: None, raising=False)
        labels = np.arange(count).repeat(30)
        shades = (255 * labels // count)[:, None, None, None] * np.ones((1, 36, 40, 3), int)
        noise = np.random.default_rng(0).integers(0, 40, shades.shape)
        np.savez("own.npz", images=(shades + noise).clip(0, 255).astype(np.uint8), labels=labels)
        for one in values["classifiers"].values():
            one |= {"epochs": 0.1, "widths": [2 * (place + 1) for place in range(len(one["widths"]))]}
        Path("params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
        adopt(look_at(Path("own.npz"), 0.2, 0), settings_of(Path("own.npz"), "both", False, 0.2, 0))
        for slot in SHAPES:
            download.main(slot, Path("data") / slot)
        split.main(RGB, Path("data/splits"))
        split.main(GREY, Path("data/splits-grey"), balanced=True)
        for name, data in {"rgb-judge": RGB, "rgb-guide": RGB, "grey-judge": GREY}.items():
            classifier.main(name, data, JUDGES / name, METRICS / "classifiers" / f"{name}.json")
        yield count


def measured(run: Path, real: Path, judge: str, **options) -> dict:
    file = METRICS / run.parent.name / f"{run.name}.json"
    evaluate.main(run, real, JUDGES / judge, file, **options)
    return read_json(file)


def test_study_1_measures_models_of_its_classes_and_of_a_tail(classes):
    for file in (BALANCED, TAIL):
        name, real = file.stem, Path("data/reference") / file.stem
        reference.main(name, RGB, file, JUDGES / "rgb-judge", real, METRICS / f"imbalance/real-{name}.json")
        imbalance.main("gan-ours", RGB, file, STUDY1 / f"gan-ours-{name}")
        found = measured(STUDY1 / f"gan-ours-{name}", real, "rgb-judge")
        assert len(found["class_share"]) == len(found["class_consistency_per_class"]) == classes
        assert ("recall_few" in found) == (name == "lt10")
    imbalance.main("vae", RGB, BALANCED, STUDY1 / "vae-balanced")
    mixture.main(STUDY1 / "vae-balanced", RGB, BALANCED, STUDY1 / "vae-gmm-balanced")
    hybrid.main(STUDY1 / "vae-balanced", RGB, BALANCED, STUDY2 / "hybrid")


def test_study_2_has_a_component_for_every_class(classes):
    settings.main(Path("data/settings"))
    stage1.main(Path("data/settings/two-stage/stage1.json"), RGB, BALANCED, STUDY2 / "stage1")
    stage2.main(
        Path("data/settings/two-stage/stage2-d-ff.json"),
        STUDY2 / "stage1",
        JUDGES / "rgb-guide",
        RGB,
        BALANCED,
        STUDY2 / "stage2-d",
    )
    assert load_sampler(STUDY2 / "stage2-d").num_classes == classes
    reference.main("balanced", RGB, BALANCED, JUDGES / "rgb-judge", Path("real"), METRICS / "two-stage/real.json")
    found = measured(STUDY2 / "stage2-d", Path("real"), "rgb-judge", guide=JUDGES / "rgb-guide")
    assert len(found["confusion"]) == classes


def test_study_3_has_a_label_for_every_class_and_the_modes_of_three(classes):
    params = parse_params(yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8")), "params.yaml")
    real, each = Path("data/reference-grey/digits"), params.cgan.per_class_samples
    reference.main(
        "balanced", GREY, DIGITS, JUDGES / "grey-judge", real, METRICS / "cgan/real-digits.json", per_class=each
    )
    cgan.main(Path("data/settings/cgan/cgan-wgan-gp.json"), GREY, DIGITS, STUDY3 / "cgan-wgan-gp")
    found = measured(STUDY3 / "cgan-wgan-gp", real, "grey-judge", per_class=each)
    assert len(found["recall_per_class"]) == classes and each == 6
    stacked_real.main(GREY, JUDGES / "grey-judge", Path("stacked-real"), METRICS / "cgan/stacked-real.json")
    stacked.main(Path("data/settings/cgan/stacked-wgan-gp.json"), GREY, DIGITS, STUDY3 / "stacked-wgan-gp")
    coverage.main(STUDY3 / "stacked-wgan-gp", JUDGES / "grey-judge", METRICS / "cgan/stacked-wgan-gp.json")
    kl = read_json(METRICS / "cgan/stacked-wgan-gp.json")["kl_to_uniform"]
    assert 0 < kl <= 3 * np.log(classes) + 1e-9
