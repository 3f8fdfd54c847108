"""Claims: what counts as a difference, and that every sentence of every study follows its numbers."""

import pytest

from made_up import build_project
from modescope.report.claims import CONSISTENCY, FID, RECALL, TV, Claim, Metric, leaders, ranking
from modescope.report.results import Run
from modescope.studies import STUDIES
from modescope.studies.two_stage import figures
from modescope.training.collapse import SPREAD

SPLITS = ("balanced", "split1", "lt100")
SHARES = [0.1] * 10


def run(name="run", **values):
    return Run("study", name, None, {}, {"num_samples": 10_000, **values})


def fids(*values):
    return tuple(run(fid_classifier=value) for value in values)


@pytest.mark.parametrize(("ours", "theirs", "verdict"), [(5.0, 5.3, 1), (5.0, 5.19, 0), (5.3, 5.0, -1), (5.0, 5.0, 0)])
def test_a_distance_counts_beyond_what_real_images_score(ours, theirs, verdict):
    assert FID.verdict(*fids(ours, theirs, 0.2)) == verdict


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"), [(0.5, 0.52, -1), (0.5, 0.51, 0), (0.002, 0.0, 0), (0.0, 0.0, 0)]
)
def test_a_share_counts_beyond_two_standard_errors_and_the_last_digit(ours, theirs, verdict):
    """sqrt(2 * 0.25 / 10000) = 0.0071, twice of it 0.0141; 0.002 has 0.0009, below half of the second digit."""
    assert RECALL.verdict(run(recall=ours), run(recall=theirs), run(recall=1.0)) == verdict


def test_counts_are_shares_of_a_total_and_lists_are_their_means():
    modes = Metric("modes", "modes", lower=False, kind="share", digits=0, out_of=1000)
    margin = modes.margin(run(modes=500), run(modes=500), run(modes=1000))
    assert margin == pytest.approx(2 * (2 * 250) ** 0.5) and modes.text(run(modes=1000)) == "1,000"
    assert CONSISTENCY.value(run(class_consistency=[0.2, 0.4])) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("ours", "theirs", "text"),
    [
        (
            (0.1, 0.9),
            (0.9, 0.1),
            "recall is higher on 1 of 2 splits and lower on 1 (0.10 to 0.90 against 0.10 to 0.90)",
        ),
        ((0.9, 0.9), (0.1, 0.1), "recall is higher on 2 of 2 splits (0.90 against 0.10)"),
        ((0.1, 0.1), (0.9, 0.1), "recall is lower on 1 of 2 splits (0.10 against 0.10 to 0.90)"),
        ((0.0, 0.001), (0.0, 0.0), "recall differs on none of 2 splits by more than the margin (0.00 against 0.00)"),
    ],
)
def test_noise_is_no_difference(ours, theirs, text):
    pairs = [(run(recall=one), run(recall=other), run(recall=0.9)) for one, other in zip(ours, theirs, strict=True)]
    assert Claim(RECALL, pairs).text("splits") == text


def test_rankings_and_leaders_name_ties():
    runs = {name: run(fid_classifier=value) for name, value in {"a": 3.0, "b": 1.0, "c": 1.01}.items()}
    floor = run(fid_classifier=0.05)
    assert ranking(FID, runs, floor) == "b 1.00 ≈ c 1.01, a 3.00"
    assert leaders(FID, runs, floor) == ["b", "c"]
    assert leaders(FID, runs | {"d": run(fid_classifier=0.5)}, floor) == ["d"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = build_project(tmp_path_factory.mktemp("project"), splits=SPLITS)
    for split in SPLITS:
        project.change(f"real-{split}", fid_classifier=0.02, class_share_tv=0.005)
    project.change("real-digits", "cgan", fid_classifier=0.02)
    return project


def on_splits(**models):
    """Values of every model on every split, as changes of runs."""
    return {("imbalance", f"{model}-{split}"): values for model, values in models.items() for split in SPLITS}


def of(study, **runs):
    return {(study, name.replace("_", "-")): values for name, values in runs.items()}


def guided(**values):
    return lambda project: {("two-stage", row.run_name): values for row in project.planned("two-stage").guided}


def losses(**fids):
    """FIDs of every loss by mode."""
    names = ("bce", "lsgan", "hinge", "wgan-gp")
    return {("cgan", f"{mode}-{loss}"): {"fid_classifier": fid} for mode, fid in fids.items() for loss in names}


def unguided(**values):
    return lambda project: {("two-stage", row.run_name): values for row, _ in project.planned("two-stage").controlled}


def curves(**columns):
    """Curves of one point for every guided row."""

    def write(project):
        for row in project.planned("two-stage").guided:
            file = project.folders.models / "two-stage" / row.run_name / "curves.csv"
            file.write_text(f"{','.join(['step', *columns])}\n{','.join(map(str, [1, *columns.values()]))}\n")
        return {}

    return write


def gradients(adversarial, guidance, whole):
    names = ("train/g_adversarial_gradient", "train/g_class_gradient", "train/g_gradient")
    return curves(**dict(zip(names, (adversarial, guidance, whole), strict=True)))


WIDE, NARROW = {"recall": 0.9, "class_consistency": 0.99}, {"recall": 0.5, "class_consistency": 0.9}
LOST = [0.0, *[0.9 / 9] * 9]
HYBRID = {f"mmd_p_{moment}": 0.5 for moment in ("untrained", "vae", "joint")}
# Finding -> changes of runs, and what the sentence then says; twice, with the numbers turned round.
FLIPS = {
    ("imbalance", "Class coverage"): [
        (
            on_splits(gan={"class_share_tv": 0.3}, vae={"class_share_tv": 0.1}),
            "closer on 2 of 2 splits and the GAN on 0",
        ),
        (
            on_splits(gan={"class_share_tv": 0.1}, vae={"class_share_tv": 0.3}),
            "closer on 0 of 2 splits and the GAN on 2",
        ),
    ],
    ("imbalance", "Rarest class"): [
        (of("imbalance", gan_split1={"class_share": SHARES}), "GAN 40.0%"),
        (of("imbalance", gan_split1={"class_share": [0.0] * 9 + [1.0]}), "GAN 0.0%"),
    ],
    ("imbalance", "Lost classes"): [
        (of("imbalance", gan_balanced={"class_share": LOST}, gan_split1={"class_share": SHARES}), "GAN 1,"),
        (of("imbalance", gan_balanced={"class_share": SHARES}, gan_split1={"class_share": SHARES}), "GAN 0,"),
    ],
    ("imbalance", "GAN against VAE"): [
        (
            on_splits(gan={"fid_classifier": 1.0}, vae={"fid_classifier": 9.0}),
            "is lower on 3 of 3 splits (1.00 against 9.00)",
        ),
        (
            on_splits(gan={"fid_classifier": 9.0}, vae={"fid_classifier": 1.0}),
            "is higher on 3 of 3 splits (9.00 against 1.00)",
        ),
    ],
    ("imbalance", "VAE-GMM against VAE"): [
        ({**on_splits(vae={"recall": 0.5}), **on_splits(**{"vae-gmm": {"recall": 0.9}})}, "recall is higher on 3 of 3"),
        (
            {**on_splits(vae={"recall": 0.0}), **on_splits(**{"vae-gmm": {"recall": 0.0}})},
            "recall differs on none of 3",
        ),
    ],
    ("imbalance", "Long tail, lt100"): [
        (of("imbalance", gan_lt100={"class_share": SHARES, "recall_few": 0.2}), "GAN 40.0%"),
        (of("imbalance", gan_lt100={"class_share": [1.0] + [0.0] * 9, "recall_few": 0.1}), "GAN 0.0%"),
    ],
    ("two-stage", "Guidance against stage 1 alone"): [
        (
            guided(class_consistency=0.9, fid_classifier=1.0),
            "33 are more class-consistent and 0 less, the FID of the judge's features is lower for 33",
        ),
        (
            guided(class_consistency=0.0, fid_classifier=99.0),
            "0 are more class-consistent and 33 less, the FID of the judge's features is lower for 0",
        ),
    ],
    ("two-stage", "Stage 2 without a guide"): [
        (unguided(fid_classifier=1.0), "FID of the judge's features is lower on 5 of 5 rows"),
        (unguided(fid_classifier=99.0), "FID of the judge's features is higher on 5 of 5 rows"),
    ],
    ("two-stage", "Guidance against none"): [
        (guided(class_consistency=1.0, recall=0.9), "more class-consistent and 0 less, class shares are closer"),
        (guided(class_consistency=0.0, recall=0.0), "0 are more class-consistent and "),
    ],
    ("two-stage", "Guidance, seed by seed"): [
        (guided(class_consistency=1.0), "is higher with every seed for 7 and lower for 0"),
        (guided(class_consistency=0.0), "is higher with every seed for 0 and lower for 7"),
    ],
    ("two-stage", "Guide against judge"): [
        (guided(class_consistency=0.1, guide_consistency=0.9), "In 33 of 33 guided rows the guide sees more"),
        (
            guided(class_consistency=0.5, guide_consistency=0.5),
            "In no guided row does the guide see more than the judge",
        ),
    ],
    ("two-stage", "Report 1's conclusion"): [
        (guided(fid_classifier=1.0), "Here it does not hold."),
        (guided(fid_classifier=99.0), "Here it holds."),
    ],
    ("two-stage", "Variety within a class"): [  # made up: 0.5 for every stage 1
        (curves(**{SPREAD: 0.1}), "In 33 of 33 guided rows it is less than 50% of their stage 1's."),
        (curves(**{SPREAD: 0.4}), "In 0 of 33 guided rows it is less than 50% of their stage 1's."),
    ],
    ("two-stage", "Gradients"): [
        (gradients(3, 4, 1), "the longer one in 33 of 33 guided rows"),
        (gradients(4, 3, 5), "the longer one in 0 of 33 guided rows"),
    ],
    ("two-stage", "Prior placement"): [
        (of("two-stage", stage1_sphere={"fid_classifier": 1.0}), "features: sphere 1.00, "),
        (of("two-stage", stage1_sphere={"fid_classifier": 99.0}), ", sphere 99.00; by recall"),
    ],
    ("two-stage", "VAE-GAN hybrid"): [
        (
            of("two-stage", hybrid={**HYBRID, **{f"ks_rejected_{m}": 0.0 for m in ("untrained", "vae", "joint")}}),
            "they are not distinguishable from N(0, I) before training, after",
        ),
        (
            of("two-stage", hybrid={"mmd_p_joint": 0.01}),
            "they are distinguishable from N(0, I) after joint training and not",
        ),
    ],
    ("cgan", "Losses by FID, the lowest first"): [
        (
            of("cgan", cgan_bce={"fid_classifier": 1.0}, cgan_hinge={"fid_classifier": 2.0}),
            "judge's features: bce 1.000, hinge 2.000",
        ),
        (
            of("cgan", cgan_bce={"fid_classifier": 1.0}, cgan_hinge={"fid_classifier": 1.01}),
            "judge's features: bce 1.000 ≈ hinge 1.010",
        ),
    ],
    ("cgan", "Class consistency"): [
        (
            of("cgan", cgan_ours={"class_consistency": 0.99}, cgan_bce={"class_consistency": 0.95}),
            "our cgan-ours 99.00 % (+4.00",
        ),
        (
            of("cgan", cgan_ours={"class_consistency": 0.95}, cgan_bce={"class_consistency": 0.951}),
            "report's rows, within the margin",
        ),
    ],
    ("cgan", "What our recipe does"): [
        (of("cgan", cgan_ours=WIDE, cgan_ours_no_ema=NARROW), "has cgan-ours."),
        (
            of("cgan", cgan_ours=WIDE | {"recall": 0.1}, cgan_ours_no_ema=NARROW),
            "has cgan-ours-no-ema (ema_decay none).",
        ),
    ],
    ("cgan", "With labels against without"): [
        (losses(cgan=1.0, dcgan=2.0), "With labels the FID of the judge's features is lower on 4 of 4 losses (1.000"),
        (losses(cgan=2.0, dcgan=2.0), "With labels the FID of the judge's features differs on none of 4 losses"),
    ],
    ("cgan", "Diversity"): [
        (of("cgan", cgan_lsgan={"recall_per_class": [0.99] * 10}), "highest for lsgan, and"),
        (
            of("cgan", cgan_lsgan={"recall_per_class": [0.99] * 10}, cgan_bce={"recall_per_class": [0.99] * 10}),
            "highest for bce and lsgan, and",
        ),
    ],
    ("cgan", "Fixed z, every label"): [
        (of("cgan", cgan_bce={"fixed_z_classes": [10] * 8}), "bce 8 of 8"),
        (of("cgan", cgan_bce={"fixed_z_classes": [9] * 8}), "bce 0 of 8"),
    ],
    ("cgan", "Lost modes"): [
        (of("cgan", inside_cgan_bce={"clusters_lost": 21}), "cgan-bce 21; real test images 0."),
        (of("cgan", inside_cgan_bce={"clusters_lost": 0}), "cgan-bce 0; real test images 0."),
    ],
    **{
        (study, "Copies of training images"): [
            ({(study, f"inside-{run}"): {"near_copies_judge": share}}, f"{run} {share:.1%}") for share in (0.01, 0.2)
        ]
        for study, run in {"imbalance": "gan-balanced", "two-stage": "stage1", "cgan": "cgan-ours"}.items()
    },
    ("cgan", "Stacked digits"): [
        (
            {
                ("cgan", f"stacked-{loss}"): {"modes_covered": modes}
                for loss, modes in {"bce": 900, "lsgan": 1, "hinge": 2, "wgan-gp": 3}.items()
            },
            "bce covers most.",
        ),
        (
            of("cgan", stacked_lsgan={"modes_covered": 899}),
            "bce and lsgan cover most, with differences within the margin.",
        ),
    ],
    ("cgan", "Speed"): [
        (
            of("cgan", cgan_wgan_gp={"steps_per_second": 6.0}, cgan_bce={"steps_per_second": 12.0}),
            "with labels (cgan) 2.0 times",
        ),
        (of("cgan", cgan_wgan_gp={"steps_per_second": 24.0}), "with labels (cgan) 0.5 times"),
    ],
    ("classifiers", "Accuracy"): [
        (
            of("classifiers", rgb_guide={"accuracy": 0.5}),
            "right on 50.0% to 85.0% of the real test images, rgb-guide least often",
        ),
        (
            of("classifiers", rgb_guide={"accuracy": 0.9}, grey_judge={"accuracy": 0.4}),
            "on 40.0% to 90.0% of the real test images, grey-judge",
        ),
    ],
}


def change(project, changes):
    for (study, name), values in (changes(project) if callable(changes) else changes).items():
        project.change(name, study, **values)


def findings(project, study):
    return {found.head: found.text for found in STUDIES[study].findings(project.read(study))}


@pytest.mark.parametrize("study", STUDIES)
def test_every_finding_has_a_flip(project, study):
    assert set(findings(project, study)) == {head for name, head in FLIPS if name == study}


@pytest.mark.parametrize(("study", "head"), FLIPS)
def test_a_sentence_follows_its_numbers(project, study, head):
    texts = []
    for changes, wanted in FLIPS[study, head]:
        change(project, changes)
        texts.append(findings(project, study)[head])
        assert wanted in texts[-1]
    assert texts[0] != texts[1]


def test_the_caption_of_confusions_says_what_lies_on_the_diagonal(project):
    captions = []
    for value in (0.125, 0.5):
        change(project, guided(class_consistency=value))
        captions.append(figures.confusion(project.read("two-stage")).caption)
    assert "12.5% of the architectures'" in captions[0] and "50.0% of the architectures'" in captions[1]


def test_a_split_without_a_difference_prints_no_winner(project):
    change(project, on_splits(gan={"class_share_tv": 0.1}, vae={"class_share_tv": 0.102}))
    text = findings(project, "imbalance")["Class coverage"]
    assert "closer on 0 of 2 splits and the GAN on 0; on 2 they differ by no more than the floor" in text
    assert TV.kind == "distance"
