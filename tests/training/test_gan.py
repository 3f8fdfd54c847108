"""Study 1's GANs: what ours adds to the report's."""

import pytest
import torch

import small_gans
from modescope.data.batches import BatchStream
from modescope.training.device import set_learning_rate
from modescope.training.gan import gan_training, labelled_prior
from modescope.training.priors import fixed_latents, kept_prior

OURS = small_gans.DEMO.imbalance.gan_ours.model_copy(
    update={"generator_width": 4, "discriminator_width": 4, "batch_size": 8, "generator_steps": 4}
)
LABELS = torch.tensor([2] * 10 + [5] * 30)


def training(**changes):
    return gan_training(OURS.model_copy(update=changes), small_gans.IMAGES, LABELS, 1)


def test_it_has_n_critic_discriminator_steps_for_one_of_the_generator():
    found = training(n_critic=3)
    assert [(phase.name, phase.steps) for phase in found.objective.phases] == [("d", 3), ("g", 1)]
    assert found.num_steps == 4


def test_labels_are_drawn_as_often_as_the_images_have_them():
    drawn = training().objective.prior.sample(4000, torch.device("cpu"), torch.Generator().manual_seed(0)).labels
    assert set(drawn.tolist()) == {2, 5} and (drawn == 2).float().mean() == pytest.approx(0.25, abs=0.03)


def test_the_prior_comes_back_from_the_weights():
    prior = kept_prior(training().objective.weights(), OURS.latent_dim)
    assert prior.num_classes == 6 and prior.known_labels().tolist() == [2, 5]
    assert prior.class_share.tolist() == labelled_prior(OURS.latent_dim, LABELS).class_share.tolist()


def test_previews_show_the_labels_that_there_are():
    shown = training().objective.preview()
    assert shown["samples"].shape == shown["fixed_z"].shape == (16, 3, 32, 32)
    assert fixed_latents(labelled_prior(4, LABELS), torch.device("cpu")).labels.tolist() == [2, 5] * 8


def test_learning_rates_fall_to_zero_in_a_straight_line():
    objective = training(lr_schedule="linear", lr_discriminator=0.4, lr_generator=0.1).objective
    for step, share in enumerate((1, 0.75, 0.5, 0.25)):
        objective.before_step(step)
        rates = [phase.optimizer.param_groups[0]["lr"] for phase in objective.phases]
        assert rates == pytest.approx([0.4 * share, 0.1 * share])


def test_a_constant_learning_rate_is_left_alone():
    assert [phase.learning_rate for phase in training(lr_schedule="constant").objective.phases] == [None, None]


def test_a_learning_rate_on_the_device_is_filled_in_place():
    rate = torch.tensor(0.5)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    set_learning_rate(optimizer, 0.25)
    assert optimizer.param_groups[0]["lr"] is rate and rate.item() == 0.25


def test_with_flips_an_epoch_shows_every_image_and_its_mirror_image():
    images, labels = torch.arange(24).view(3, 1, 2, 4).to(torch.uint8), torch.tensor([0, 1, 2])
    stream = BatchStream(images, labels, 6, seed=0, flip=True)
    shown, their_labels = stream.batch(0)
    assert stream.steps_per_epoch == 1 and sorted(their_labels.tolist()) == [0, 0, 1, 1, 2, 2]
    for image, label in zip(images, labels, strict=True):
        seen = {tuple(each.flatten().tolist()) for each in shown[their_labels == label]}
        assert seen == {tuple(image.flatten().tolist()), tuple(image.flip(-1).flatten().tolist())}
