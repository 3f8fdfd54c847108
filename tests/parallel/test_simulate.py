"""The simulated run: no sooner than the longest chain or the work allows, and as soon as that where it can be."""

import math
from types import SimpleNamespace

import pytest

from benchmarks.rates import FIRST, RATES, WAYS
from benchmarks.simulate import Done, load_profile, simulate
from benchmarks.stage_seconds import on_cpu, on_gpu, trained
from modescope.config import parse_params, profile_values
from modescope.files import read_json
from modescope.parallel.graph import Plan, Task
from modescope.parallel.machine import Machine, Needs

STAGES = {"first": [], "a": ["first"], "b": ["first"], "c": ["first"], "last": ["a", "b", "c"]}
SECONDS = {"first": 1.0, "a": 4.0, "b": 2.0, "c": 2.0, "last": 1.0}


def plan(needs):
    tasks = {
        name: Task(SimpleNamespace(addressing=name), needs, upstream, seconds=SECONDS[name])
        for name, upstream in STAGES.items()
    }
    made = Plan(None, tasks)
    made.look_ahead(SECONDS)
    return made


@pytest.mark.parametrize(("cores", "seconds"), [(1, 10.0), (2, 6.0), (3, 6.0), (64, 6.0)])
def test_workers_are_kept_busy_until_the_longest_chain_is_all_there_is(cores, seconds):
    assert simulate(plan(Needs(1, 0)), Machine(cores, math.inf, {})) == seconds
    assert plan(Needs()).critical_path() == (6.0, ["first", "a", "last"])


@pytest.mark.parametrize(("gpus", "share", "seconds"), [(1, 1, 10.0), (1, 0.5, 6.0), (2, 1, 6.0), (1, 1 / 3, 6.0)])
def test_stages_share_a_gpu_by_parts(gpus, share, seconds):
    machine = Machine(math.inf, math.inf, {str(number): 1.0 for number in range(gpus)})
    assert simulate(plan(Needs(0, share)), machine) == seconds


def test_idle_time_is_what_the_work_leaves():
    assert Done(workers=2, seconds=6.0, work=10.0, slots=2).idle == pytest.approx(1 / 6)


def test_steps_of_a_training_are_the_profiles():
    params = parse_params(profile_values("paper"), "paper")
    assert trained("imbalance@gan-balanced", params) == [("imbalance-gan", 10 * (50_000 // 32), 1)]
    assert trained("imbalance@gan-split1", params) == [("imbalance-gan", 10 * (10_000 // 32), 1)]
    assert trained("imbalance-again@vae-split4-43", params) == trained("imbalance@vae-split4", params)
    assert trained("imbalance-ours@gan-ours-lt100", params) == [("gan-ours", 25_000, 1)]
    assert trained("cgan@dcgan-wgan-gp", params) == [
        ("cgan-wgan-gp", params.cgan.config("dcgan-wgan-gp").generator_steps, 1)
    ]
    assert trained("stage1@stage1", params) == [("dcgan", 15_600, 1), ("dcgan-g-step", 15_600, 19)]
    assert trained("stage2@c-conv-0.5", params)[0][0] == "stage2-c"
    assert trained("evaluate-hybrid", params) == trained("classifier@rgb-judge", params) == []


def test_a_training_takes_its_steps_at_the_rate_of_its_loop():
    params, rates = parse_params(profile_values("standard"), "standard"), read_json(RATES)[FIRST]
    found = on_cpu(["cgan@dcgan-bce", "cgan@cgan-wgan-gp", "reference@balanced", "overview"], params)
    for stage, loop in (("dcgan-bce", "cgan-bce"), ("cgan-wgan-gp", "cgan-wgan-gp")):
        seconds = params.cgan.config(stage).generator_steps / rates[loop]
        assert found[f"cgan@{stage}"] == pytest.approx(4 + seconds)
    assert found["overview"] == 2 and found["reference@balanced"] == pytest.approx(17 + 0.66 * 50)


def test_the_rates_are_those_of_every_kind_of_training():
    """reports/rates.json knows what the standard profile trains, in every way of using two cores."""
    params, plan = load_profile("standard")
    loops = {part.loop for name in plan.tasks for part in trained(name, params)} - {"dcgan-g-step"}
    assert read_json(RATES).keys() == WAYS.keys()
    assert all(loops <= rates.keys() and min(rates.values()) > 0 for rates in read_json(RATES).values())


@pytest.mark.parametrize(("profile", "seconds"), [("standard", on_cpu), ("paper", on_gpu)])
def test_every_stage_takes_some_time(profile, seconds):
    params, whole = load_profile(profile)
    assert min(seconds(whole.tasks, params).values()) > 0


def test_a_gpus_seconds_are_those_that_were_measured_there():
    params = parse_params(profile_values("paper"), "paper")
    found = on_gpu(["code", "stage1@stage1", "evaluate-hybrid", "cgan@cgan-bce"], params)
    assert 0 < found["code"] < found["evaluate-hybrid"] < found["cgan@cgan-bce"] < found["stage1@stage1"]
    assert found["cgan@cgan-bce"] == pytest.approx(10 + params.cgan.config("cgan-bce").generator_steps / 393, rel=0.01)
