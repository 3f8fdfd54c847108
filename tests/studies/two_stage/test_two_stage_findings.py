"""Studies 1b and 2: their findings follow from hand-made numbers."""

import re

import pytest

from made_up import build_project
from modescope.studies.two_stage.findings import findings


@pytest.fixture
def project(tmp_path):
    """Every row, all equal: 10 % consistent at FID 5; the floor's FID is 0.02."""
    project = build_project(tmp_path, splits=("balanced",))
    project.change("real-balanced", fid_classifier=0.02)
    set_rows(project, project.planned("two-stage").rows)
    return project


def set_rows(project, rows, consistency=0.1, fid=5.0):
    for row in rows:
        project.change(
            row.run_name,
            "two-stage",
            fid_classifier=fid,
            **({"class_consistency": consistency} if row.has_classes else {}),
        )


def set_gradients(project, rows, adversarial, guidance, whole):
    for row in rows:
        lines = ["step,train/g_adversarial_gradient,train/g_class_gradient,train/g_gradient"]
        lines += [f"{step},{adversarial},{guidance},{whole}" for step in (1, 2)]
        (project.folders.models / "two-stage" / row.run_name / "curves.csv").write_text("\n".join(lines) + "\n")


def set_variety(project, rows, spreads):
    for row in rows:
        lines = ["step,eval/sample_spread", *(f"{step},{spread}" for step, spread in enumerate(spreads))]
        (project.folders.models / "two-stage" / row.run_name / "curves.csv").write_text("\n".join(lines) + "\n")


def texts(project):
    return {finding.head: finding.text for finding in findings(project.read("two-stage"))}


def counts(more, less, lower, higher, both):
    return (
        f"{more} are more class-consistent and {less} less, the FID of the judge's features is lower for {lower} "
        f"and higher for {higher}, and both are better for {both}"
    )


def of_architecture(project, letters):
    return [row for row in project.planned("two-stage").stage2_rows if row.group in letters and row.is_guided]


@pytest.mark.parametrize(
    ("consistency", "fid", "gains", "verdict"),
    [
        (0.5, 4.0, (33, 0, 33, 0, 33), "Here it does not hold."),
        (0.05, 6.0, (0, 33, 0, 33, 0), "Here it holds."),
        (0.5, 6.0, (33, 0, 0, 33, 0), "Here it holds."),
        (0.108, 4.99, (0, 0, 0, 0, 0), "Here it holds."),  # within two standard errors, within the floor
    ],
)
def test_guidance_helps_or_does_not(project, consistency, fid, gains, verdict):
    set_rows(project, of_architecture(project, "ABCD"), consistency, fid)
    found = texts(project)
    words = f"Of 33 guided rows, against the stage 1 that each starts from, {counts(*gains)}"
    words += " (a-0.1-n5 from " if gains[-1] else "; differences "
    assert words in found["Guidance against stage 1 alone"]
    claim = found["Report 1's conclusion"]
    assert (
        f"{gains[2]} of 33 guided rows" in claim
        and "than the vanilla DCGAN (5.00)" in claim
        and f"{gains[3]} a higher one" in claim
    )
    assert verdict in claim


def test_guidance_that_helps_in_part(project):
    set_rows(project, of_architecture(project, "A"), 0.5, 6.0)
    set_rows(project, of_architecture(project, "B"), 0.2, 4.0)
    found = texts(project)
    guidance = found["Guidance against stage 1 alone"]
    assert counts(13, 0, 6, 7, 6) in guidance
    assert (
        "A 50.0% at FID 6.00 (a-0.1-n5), B 20.0% at FID 4.00 (b-ff-0.1), C 10.0% at FID 5.00 (c-conv-0.1)" in guidance
    )
    lowest = r"\(b-ff-0.1 from 10.0% to 20.0% at FID 5.00 to 4.00 and recall 0.\d\d to 0.\d\d\);"
    assert re.search(f"both are better for 6 {lowest}", guidance)
    assert "stage1 alone 10.0% at FID 5.00; chance is 10%" in guidance
    assert (
        "Here it holds for 27 of them. Lowest: A 6.00 (a-0.1-n5), B 4.00 (b-ff-0.1)" in found["Report 1's conclusion"]
    )


def test_another_seed_is_held_against_its_own_stage_1(project):
    rows = {row.name: row for row in project.planned("two-stage").rows}
    set_rows(project, [rows["stage1-seed43"]], 0.2, 6.0)
    set_rows(project, [rows["d-ff-0.5"], rows["d-ff-0.5-again"]], 0.5, 4.0)
    text = texts(project)["Guidance, seed by seed"]
    higher = "class consistency is higher with every seed for {} and lower for 0, and the FID of the judge's features"
    assert higher.format(1) in text and text.endswith("lower for 1 and higher for 0. All other rows have one seed.")
    set_rows(project, [rows["d-ff-0.5-again"]], 0.2, 4.0)  # as consistent as its stage 1
    assert higher.format(0) in texts(project)["Guidance, seed by seed"]


def test_what_the_guide_sees_and_the_judge_does_not(project):
    rows = {row.name: row for row in project.planned("two-stage").stage2_rows}
    for row in rows.values():
        project.change(row.run_name, "two-stage", class_consistency=0.1, guide_consistency=0.98)
    project.change("stage2-d-input-1.0", "two-stage", class_consistency=0.3, guide_consistency=0.5)
    text = texts(project)["Guide against judge"]
    assert "where stage 2 trains a new output layer, 98 % of them and the judge 10 %" in text
    assert "the input layer alone, 50 to 98 % of them and the judge 10 to 30 %" in text


def test_variety_within_a_class_is_lost_or_not(project):
    rows = {row.name: row for row in project.planned("two-stage").rows}
    set_variety(project, rows.values(), [0.1, 0.8, 0.8, 0.8, 0.8, 0.8])
    set_variety(project, [rows["d-ff-0.5"], rows["a-0.5-n1"]], [0.9, 0.3, 0.3, 0.3, 0.3, 0.5])
    set_rows(project, [rows["d-ff-0.5"]], 0.9)
    text = texts(project)["Variety within a class"]
    assert "D: d-ff-0.5 0.34 at 90.0% (stage1 0.80)" in text and "A: a-0.1-n5 0.80 at 10.0% (stage1 0.80)" in text
    assert "In 2 of 33 guided rows it is less than 50% of their stage 1's." in text
    for row in rows.values():  # as one whose weights were given
        (project.folders.models / "two-stage" / row.run_name / "curves.csv").unlink()
    assert "Variety within a class" not in texts(project)


def test_the_control_stands_beside_the_guided_rows(project):
    set_rows(project, [row for row in project.planned("two-stage").stage2_rows if not row.is_guided], 0.11, 4.5)
    found = texts(project)
    unguided = found["Stage 2 without a guide"]
    assert "its FID of the judge's features is lower on 5 of 5 rows (4.50 against 5.00); its recall" in unguided
    assert counts(0, 0, 0, 0, 0) in found["Guidance against stage 1 alone"]


def test_guided_rows_are_held_against_the_control_of_their_start_and_seed(project):
    rows = {row.name: row for row in project.planned("two-stage").stage2_rows}
    for row in rows.values():
        project.change(row.run_name, "two-stage", class_consistency=0.1, recall=0.5, fid_classifier=5.0)
    project.change("stage2-ours-control-again", "two-stage", class_consistency=0.0, recall=0.6)
    project.change("stage2-ours-a-again", "two-stage", class_consistency=0.9)
    text = texts(project)["Guidance against none"]
    assert " 4 are more class-consistent and 0 less, class shares are closer to the data's for " in text
    assert "and recall is higher for 0 and lower for 4." in text
    assert text.endswith("a recall of 0.1 or more, 0 are more class-consistent at no loss of it.")
    project.change("stage2-ours-a-again", "two-stage", recall=0.6)
    kept = "ours-a-again (90.0% at FID 5.00 and recall 0.60; ours-control-again 0.0% at FID 5.00 and recall 0.60)."
    assert texts(project)["Guidance against none"].endswith(f"1 is more class-consistent at no loss of it: {kept}")


def test_gradients_are_compared_by_length_and_direction(project):
    set_gradients(project, of_architecture(project, "A"), 3, 4, 7)  # the same way
    set_gradients(project, of_architecture(project, "B"), 3, 4, 1)  # opposed
    set_gradients(project, of_architecture(project, "CD"), 4, 3, 5)  # at right angles
    text = texts(project)["Gradients"]
    assert "A 1.33, B 1.33, C 0.75, D 0.75 times as long" in text and "the longer one in 13 of 33 guided rows" in text
    assert "A 1.00, B -1.00, C 0.00, D 0.00, and below 0, where they pull against each other, in 6." in text


def test_every_prior_is_named(project):
    rows = {row.name: row for row in project.planned("two-stage").rows}
    set_rows(project, [rows["d-ff-0.5-sphere"]], 0.2, 9.0)
    text = texts(project)["Prior placement"]
    assert re.search(r"sphere 5.00 ≈ orthogonal 5.00 .*; by recall: .*normal 0.\d\d", text) and "seed43" not in text


@pytest.mark.parametrize(
    ("changes", "wording"),
    [
        (
            {},
            "they are not distinguishable from N(0, I) before training, after training the VAE alone and after "
            "joint training (",
        ),
        (
            {"ks_rejected_vae": 0.25, "mmd_p_joint": 0.002},
            "they are distinguishable from N(0, I) after training the VAE alone and after joint training and not "
            "distinguishable from N(0, I) before training (",
        ),
    ],
)
def test_the_hybrids_codes_are_distinguished_from_noise_or_not(project, changes, wording):
    moments = ("untrained", "vae", "joint")
    same = {f"ks_rejected_{moment}": 0.0 for moment in moments} | {f"mmd_p_{moment}": 0.3 for moment in moments}
    project.change("hybrid", "two-stage", **same | changes, fid_classifier=6.0)
    project.change("gan-balanced", fid_classifier=5.5)
    text = texts(project)["VAE-GAN hybrid"]
    assert wording in text and text.endswith("hybrid 6.00, GAN 5.50.")


def test_a_small_profile_says_what_it_can(tmp_path):
    project = build_project(tmp_path, splits=("balanced",), data="digits-rgb", profile="demo")
    found = texts(project)
    assert "Of 4 guided rows" in found["Guidance against stage 1 alone"] and "Guidance, seed by seed" not in found
    assert (
        "than stage 1 alone" in found["Report 1's conclusion"]
        and "Without guidance" not in found["Report 1's conclusion"]
    )
    assert "Prior placement" not in found


def test_no_guidance_no_finding_of_it(tmp_path):
    project = build_project(tmp_path, splits=("balanced",))
    control = project.params.two_stage.rows["a-control"]
    project.change_params({"two_stage": {"stage1": {"stage1": {}}, "rows": {"a-control": control}}})
    assert set(texts(project)) == {"Copies of training images", "VAE-GAN hybrid"}
