"""Study 3: its findings follow from hand-made numbers."""

import pytest

import made_up
from made_up import OURS, build_project
from modescope.studies.cgan import tables
from modescope.studies.cgan.findings import findings

FIDS = {"bce": 2.0, "lsgan": 1.0, "hinge": 4.0, "wgan-gp": 3.0}


@pytest.fixture
def project(tmp_path):
    """Every labelled row 90 % consistent; FIDs of `FIDS`, without labels twice as high; the floor's FID is 0.02."""
    project = build_project(tmp_path, splits=("split1",))
    project.change(
        "real-digits",
        "cgan",
        fid_classifier=0.02,
        class_consistency=0.995,
        pixel_std=[0.6] * 10,
        recall_per_class=[0.9] * 10,
        ms_ssim=[0.2] * 10,
    )
    for loss, fid in FIDS.items():
        project.change(f"cgan-{loss}", "cgan", fid_classifier=fid)
        project.change(f"dcgan-{loss}", "cgan", fid_classifier=2 * fid)
    for row in labelled():
        project.change(
            row,
            "cgan",
            class_consistency=0.9,
            pixel_std=[0.6] * 10,
            recall_per_class=[0.5] * 10,
            ms_ssim=[0.3] * 10,
            fixed_z_classes=[9] * 8,
        )
    return project


def labelled():
    return [*(f"cgan-{loss}" for loss in FIDS), *OURS]


def texts(project):
    return {finding.head: finding.text for finding in findings(project.read("cgan"))}


def test_losses_are_ranked_by_fid_beside_the_reports(project):
    text = texts(project)["Losses by FID, the lowest first"]
    assert text.startswith(
        "Report 2 has, with labels, of Inception's features: wgan-gp 4.79, bce 5.06, lsgan 5.22, hinge 6.84. "
    )
    assert (
        "Here, with labels (cgan), of the judge's features: lsgan 1.000, bce 2.000, wgan-gp 3.000, hinge 4.000 "
        "(real images 0.020); " in text
    )
    assert text.endswith(
        "without labels (dcgan), of the judge's features: lsgan 2.000, bce 4.000, wgan-gp 6.000, hinge 8.000 "
        "(real images 0.020)."
    )


def test_two_extractors_rank_apart(tmp_path):
    project = build_project(tmp_path, splits=("split1",), extractors=("judge", "inception"))
    project.change("cgan-hinge", "cgan", fid=0.25)
    text = texts(project)["Losses by FID, the lowest first"]
    assert (
        "with labels (cgan), of Inception's features: hinge 0.25, " in text
        and text.count("of the judge's features") == 2
    )


def test_consistency_of_ours_stands_beside_the_best_published_row(project):
    project.change("cgan-lsgan", "cgan", class_consistency=0.95)
    project.change("cgan-ours-no-ema", "cgan", class_consistency=0.98)
    text = texts(project)["Class consistency"]
    assert (
        "cgan-lsgan 95.00 %, " in text
        and "our cgan-ours-no-ema 98.00 % (+3.00 points against the best of the report's rows)" in text
    )
    assert "of real images 99.50 %." in text and text.endswith("Report 2 has 97.80 to 98.90 % by its own classifier.")


@pytest.mark.parametrize(
    ("fid", "wording"),
    [
        (8.0, "is lower on 4 of 4 losses (1.000 to 4.000 against 2.000 to 8.000)."),
        (3.75, "is lower on 3 of 4 losses and higher on 1 (1.000 to 4.000 against 2.000 to 6.000)."),
    ],
)
def test_labels_that_do_not_help_are_named(project, fid, wording):
    project.change("dcgan-hinge", "cgan", fid_classifier=fid)
    text = texts(project)["With labels against without"]
    assert (
        text == "Report 2 has a lower FID with labels for bce, lsgan and wgan-gp of bce, lsgan, hinge and wgan-gp. "
        f"With labels the FID of the judge's features {wording}"
    )


@pytest.mark.parametrize(
    ("changes", "wording"),
    [
        (
            {"recall_per_class": [0.05] * 10},
            "pixel_std differs by 0.0% of the real images' and recall by 50.0%: recall distinguishes them, "
            "pixel_std less.",
        ),
        (
            {"pixel_std": [0.3] * 10},
            "pixel_std differs by 50.0% of the real images' and recall by 0.0%: recall distinguishes them no "
            "more than pixel_std does.",
        ),
    ],
)
def test_diversity_compares_what_distinguishes_the_rows(project, changes, wording):
    project.change("cgan-bce", "cgan", **changes)
    project.change("cgan-wgan-gp", "cgan", ms_ssim=[0.5] * 10)
    text = texts(project)["Diversity"]
    assert wording in text and "MS-SSIM 0.300 to 0.500 (0.200)" in text


def test_diversity_names_the_highest_row(project):
    project.change("cgan-hinge", "cgan", pixel_std=[0.61] * 10)
    project.change("cgan-lsgan", "cgan", recall_per_class=[0.7] * 10)
    text = texts(project)["Diversity"]
    assert (
        "0.600 to 0.610 (real images 0.600), highest for hinge" in text
        and "0.500 to 0.700 (0.900), highest for lsgan" in text
    )


def test_fixed_z_counts_z_with_every_digit(project):
    project.change("cgan-ours", "cgan", fixed_z_classes=[10] * 7 + [9])
    text = texts(project)["Fixed z, every label"]
    assert (
        "z that give 10 different digits: bce 0 of 8, lsgan 0 of 8, hinge 0 of 8, wgan-gp 0 of 8, cgan-ours 7 of 8, "
        in text
    )


def test_stacked_digits_name_the_loss_that_covers_most(project):
    for loss, modes in {"bce": 500, "lsgan": 0, "hinge": 999, "wgan-gp": 898, "real": 1000}.items():
        project.change(f"stacked-{loss}", "cgan", modes_covered=modes, modes_enough=modes // 2)
    text = texts(project)["Stacked digits"]
    assert text.startswith(
        "Of 1,000 modes, hinge covers most. Modes with a sample (with 10) among 26,000: bce 500 (250), lsgan 0 (0), "
    )
    assert text.endswith("wgan-gp 898 (449); real digits 1,000 (500).")


def test_speed_is_a_multiple_of_bces_by_the_step(project):
    project.change("cgan-wgan-gp", "cgan", steps_per_second=8.0, seconds=1.0)
    project.change("dcgan-wgan-gp", "cgan", steps_per_second=5.0)
    for mode in ("cgan", "dcgan"):
        project.change(f"{mode}-bce", "cgan", steps_per_second=20.0)
    assert texts(project)["Speed"].endswith(
        "takes the time of a step of bce with labels (cgan) 2.5 times (report 2: 3.7) and without labels (dcgan) "
        "4.0 times (report 2: 3.8)."
    )


def test_the_texts_start_stands_beside_the_codes(tmp_path, monkeypatch):
    monkeypatch.setitem(OURS, "cgan-bce-text", {"loss": "bce", "initialization": "text"})
    project = build_project(tmp_path, splits=("split1",))
    project.change("cgan-bce-text", "cgan", fid_classifier=150.0, recall=0.0, class_consistency=0.1)
    project.change("cgan-bce", "cgan", fid_classifier=1.5, recall=0.9, class_consistency=0.93)
    assert texts(project)["One sentence of report 2"].endswith(
        "as the code starts bce has FID 1.500, recall 0.90 and class consistency 93.00 %, with the text's FID 150.000, "
        "recall 0.00 and class consistency 10.00 %."
    )
    project.change_params({"cgan": {"ours": {"cgan-bce-text": {"loss": "bce"}}}})
    assert "One sentence of report 2" not in texts(project)


def test_a_row_that_differs_in_one_setting_says_what_the_setting_does(tmp_path, monkeypatch):
    best = {"loss": "hinge", "generator_labels": "concat", "ema_decay": 0.99}
    monkeypatch.setitem(OURS, "cgan-ours", best)
    monkeypatch.setitem(OURS, "cgan-ours-no-ema", best | {"ema_decay": None})
    monkeypatch.setitem(OURS, "cgan-ours-other", {"loss": "hinge"})
    project = build_project(tmp_path, splits=("split1",))
    project.change("cgan-ours", "cgan", fid_classifier=0.9, recall=0.7, class_consistency=0.99)
    project.change("cgan-ours-no-ema", "cgan", fid_classifier=1.2, recall=0.9, class_consistency=0.98)
    text = texts(project)["What our recipe does"]
    assert text.startswith("cgan-ours has FID 0.900, recall 0.70 and class consistency 99.00 %; all else equal, ")
    assert "with ema_decay none FID 1.200, recall 0.90 and class consistency 98.00 %" in text
    assert text.endswith(" has cgan-ours-no-ema (ema_decay none).") and "cgan-ours-other" not in text


def test_labels_over_seeds(tmp_path):
    project = build_project(tmp_path, splits=("split1",), more_seeds=(43,))
    project.change("cgan-wgan-gp", "cgan", fid_classifier=2.0)
    project.change("cgan-wgan-gp-s43", "cgan", fid_classifier=1.0)
    project.change("dcgan-wgan-gp", "cgan", fid_classifier=5.0)
    project.change_params({"seeds": {"rows": ["cgan-wgan-gp", "dcgan-wgan-gp"]}})
    folder, metrics = project.folders.models / "cgan/dcgan-wgan-gp-s43", {"fid_classifier": 7.0, "num_samples": 100}
    project.add_run("cgan", "dcgan-wgan-gp-s43", folder, metrics, "mnist")
    found = texts(project)
    assert found["Losses by FID, the lowest first"].endswith(
        " Over the seeds 42 and 43: cgan-wgan-gp 1.50 ± 0.71, dcgan-wgan-gp 6.00 ± 1.41."
    )
    assert found["With labels against without"].endswith(
        " With every seed of wgan-gp the FID of the judge's features is lower on 2 of 2 pairs "
        "(1.000 to 2.000 against 5.000 to 7.000)."
    )


def test_other_data_is_not_held_against_the_report(tmp_path):
    found = texts(build_project(tmp_path, splits=("split1",), data="digits-rgb"))
    assert "5.06" not in found["Losses by FID, the lowest first"] and "Report 2" not in found["Class consistency"]
    assert "Report 2" not in found["With labels against without"] and "report 2" not in found["Speed"]


def test_classes_that_are_no_digits_are_not_called_so(tmp_path, monkeypatch):
    monkeypatch.setitem(made_up.CLASSES_OF, "cgan", made_up.CLASSES)
    project = build_project(tmp_path, splits=("split1",), data="flowers")
    found, stacked = texts(project), tables.stacked(project.read("cgan"))
    assert "z that give 10 different classes: " in found["Fixed z, every label"]
    assert "; real images " in found["Stacked images"] and "digit" not in found["Class consistency"]
    assert stacked.title == "Stacked images: modes covered" and "digit" not in stacked.caption


@pytest.mark.parametrize(
    ("changes", "heads"),
    [
        (
            {"modes": ["cgan"], "losses": ["hinge"]},
            [
                "Losses by FID, the lowest first",
                "Class consistency",
                "What our recipe does",
                "Diversity",
                "Fixed z, every label",
                "Lost modes",
                "Copies of training images",
                "Stacked digits",
            ],
        ),
        (
            {"modes": ["dcgan"], "ours": {}},
            ["Losses by FID, the lowest first", "Lost modes", "Copies of training images", "Stacked digits", "Speed"],
        ),
    ],
)
def test_a_profile_with_less_says_what_it_can(project, changes, heads):
    project.change_params({"cgan": changes})
    assert list(texts(project)) == heads
