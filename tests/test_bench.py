"""The benchmark: what is compared computes the same, what is counted is right, what is written can be read."""

import json
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks import bench, evaluation, loops, measure, plain_dcgan, plain_gan, plain_stage2, scaling
from benchmarks.figures import picture
from modescope.config import parse_params, profile_values
from modescope.models.adapters import adapt
from modescope.models.dcgan import DCGANDiscriminator, DCGANGenerator
from modescope.models.upsampling_gan import build_discriminator, build_generator

CPU = torch.device("cpu")
SECONDS = [f"{name}_seconds" for name in ("ours", "torchmetrics", "torchmetrics_generated_only")]
PARAMS = parse_params(profile_values("standard"), "standard")


def assert_same(plain: nn.Module, ours: nn.Module, given: torch.Tensor):
    """With the same weights, in eval mode."""
    plain.load_state_dict(dict(zip(plain.state_dict(), ours.state_dict().values(), strict=True)))
    torch.testing.assert_close(plain.eval()(given).flatten(), ours.eval()(given).flatten(), atol=1e-5, rtol=1e-4)


def test_study_1s_plain_networks_are_ours():
    settings = PARAMS.imbalance.gan
    assert_same(plain_gan.generator(), build_generator(settings, 3), torch.randn(4, 100))
    assert_same(
        plain_gan.discriminator(),
        nn.Sequential(build_discriminator(settings, 3), nn.Sigmoid()),
        torch.randn(4, 3, 32, 32),
    )


def test_study_2s_plain_networks_are_ours():
    assert_same(plain_dcgan.generator(8), DCGANGenerator(100, 8), torch.randn(4, 100))
    assert_same(plain_dcgan.discriminator(8), DCGANDiscriminator(8), torch.randn(4, 3, 32, 32))


@pytest.mark.parametrize("kind", "abcd")
def test_stage_2s_plain_generators_are_ours(kind):
    config = PARAMS.stage2_config(loops.STAGE2[f"stage2-{kind}"]).model_copy(update={"sft_conv_hidden": 4})
    plain, ours = (
        plain_stage2.adapted(plain_dcgan.generator(4), kind, 4),
        adapt(DCGANGenerator(100, 4), config, 3, 32),
    )
    assert [weight.requires_grad for weight in plain.parameters()] == [
        weight.requires_grad for weight in ours.parameters()
    ]
    assert_same(plain, ours, torch.randn(4, 100))


class Guide(nn.Module):
    def forward(self, images):
        assert images.min() >= 0 and images.max() <= 1
        return images.flatten(1)[:, :10]


def test_plain_stage_2_trains_what_surrounds_the_frozen_generator():
    pictures = loops.Data(3, 32, CPU).pictures[:8]
    loop = plain_stage2.PlainStage2(pictures, CPU, "d", Guide(), batch_size=4)
    before = {name: value.clone() for name, value in loop.generator.state_dict().items()}
    loop.run(1)
    changed = {
        name.split(".")[0]
        for name, value in loop.generator.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert changed == {"0", "2"} and loop.last_loss > 0


def test_every_loop_of_ours_and_its_plain_one_make_a_step(monkeypatch):
    """Two images of each kind: that they run, not how fast."""
    monkeypatch.setattr(loops, "IMAGES", 640)
    every = loops.all_loops(CPU)
    assert [loop.name for loop in every] == [
        *(
            "imbalance-gan",
            "imbalance-vae",
            "dcgan",
            "dcgan-g-step",
            "mixture-draws",
            "stage2-a",
            "stage2-b",
            "stage2-c",
            "stage2-d",
            "cgan-bce",
            "cgan-wgan-gp",
        )
    ]
    small = next(loop for loop in every if loop.name == "imbalance-gan")
    small.ours()(1)
    small.plain()(1)


def test_operations_are_counted_with_those_of_the_gradient():
    layer, given = nn.Linear(3, 5, bias=False), torch.ones(7, 3)
    assert measure.counted_flops(lambda _: layer(given).sum().backward()) == 2 * (2 * 7 * 3 * 5)


def test_rates_alternate_and_their_ratio_has_a_spread():
    done = []
    found = measure.alternate(lambda steps: done.append("ours"), lambda steps: done.append("plain"), CPU, seconds=0.001)
    assert done[-4:] == ["ours", "plain"] * 2
    assert found["ratio_min"] <= found["ratio"] <= found["ratio_max"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read from /proc")
def test_the_peak_is_that_of_the_loop():
    def make():
        return lambda steps: torch.ones(steps * 5 * 2**20).sum()  # 80 MiB with four steps of warm-up

    measure.with_peak_memory(lambda: lambda steps: torch.ones(100 * 2**20).sum(), CPU)
    _, mebibytes = measure.with_peak_memory(make, CPU)
    assert 70 < mebibytes < 120


def measured() -> dict:
    """As a whole benchmark leaves it."""
    loop = {
        "loop": "imbalance-gan",
        "device": "cpu",
        "ours_steps_per_second": 8.0,
        "plain_steps_per_second": 4.0,
        "ratio": 2.0,
        "ratio_min": 1.9,
        "ratio_max": 2.1,
        "ours_images_per_second": 256.0,
        "gflop_per_step": 17.2,
        "peak_share": 0.34,
        "peak_gflops": 400.0,
        "ours_peak_mib": 100.0,
        "plain_peak_mib": None,
    }
    sizes = [
        {"images_per_second": 100.0 * size, "peak_share": 0.1, "peak_mib": 10.0, "batch_size": size, "width": size}
        for size in (8, 16)
    ]
    return {
        "device": "cpu",
        "peak_gflops": 400.0,
        "loops": [loop],
        "evaluation": {
            "images": 10_000,
            "ratio": 3.0,
            "ratio_min": 2.9,
            "ratio_max": 3.1,
            **dict.fromkeys(SECONDS, 10.0),
        },
        "scaling": {
            "batch_size": sizes,
            "width": sizes,
            "evaluation": [{"images": 1000, "seconds": 1.0}, {"images": 2000, "seconds": 2.0}],
        },
    }


def test_the_picture_is_drawn():
    assert picture(measured()).startswith(b"\x89PNG")


def test_json_is_an_object_a_loop(monkeypatch, tmp_path, capsys):
    """The contract: loop, device, both rates, their ratio, the share of the peak."""
    result = measured()["loops"][0]
    monkeypatch.setattr(bench, "all_loops", lambda device: ["loop"])
    monkeypatch.setattr(bench, "compare", lambda *_: result)
    monkeypatch.setattr(bench, "machine", lambda device: {"device": "cpu", "peak_gflops": 400.0})
    monkeypatch.setattr(bench, "evaluation_seconds", lambda device: measured()["evaluation"])
    monkeypatch.setattr(
        bench,
        "training_scaling",
        lambda device, peak: {name: measured()["scaling"][name] for name in ("batch_size", "width")},
    )
    monkeypatch.setattr(bench, "evaluation_scaling", lambda device: measured()["scaling"]["evaluation"])
    bench.main(as_json=True, out=tmp_path)
    assert json.loads(capsys.readouterr().out) == result
    assert json.loads((tmp_path / "bench.json").read_text()) == measured() and (tmp_path / "bench.png").exists()


def test_scaling_and_evaluation_give_a_row_a_size(monkeypatch):
    monkeypatch.setattr(scaling, "BATCH_SIZES", (4,))
    monkeypatch.setattr(scaling, "WIDTHS", (8,))
    found = scaling.training_scaling(CPU, 100.0)
    assert [row["batch_size"] for row in found["batch_size"]] == [4] and found["width"][0]["images_per_second"] > 0
    assert all(row["peak_share"] > 0 for rows in found.values() for row in rows)
    images, labels = evaluation.smooth_images(20, 1)
    assert (
        images.shape == (20, 3, 32, 32)
        and images.dtype == torch.uint8
        and images.float().std() > 20
        and labels.tolist() == [*range(10)] * 2
    )


def test_docs_show_the_committed_figures():
    found, page = (
        json.loads(Path("reports/bench.json").read_text(encoding="utf-8")),
        Path("docs/performance.md").read_text(encoding="utf-8"),
    )
    for line in bench.table(found):
        assert line in page
