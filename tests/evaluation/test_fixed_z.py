import torch

from modescope.evaluation.fixed_z import distinct_classes
from modescope.evaluation.samplers import Samples

NUM_CLASSES = 4


class StubbornSampler:
    """Its latent vector z knows the classes 0 ... z only: a larger label gives class z."""

    num_classes = NUM_CLASSES

    def latents(self, count, seed):
        return torch.randint(0, NUM_CLASSES, (count,), generator=torch.Generator().manual_seed(seed))

    def sample(self, count, seed, labels=None):
        images = torch.zeros(count, 1, 4, 4, dtype=torch.uint8)
        images.flatten(1)[torch.arange(count), torch.minimum(labels, self.latents(count, seed))] = 255
        return Samples(images, labels)


def test_counts_the_classes_of_each_latent_vector(pixel_judge):
    sampler = StubbornSampler()
    found = distinct_classes(sampler, pixel_judge, NUM_CLASSES, count=100, seed=3)
    assert found == (sampler.latents(100, seed=3) + 1).tolist()
    assert set(found) == {1, 2, 3, 4}


def test_only_the_asked_labels_are_shown(pixel_judge):
    assert max(distinct_classes(StubbornSampler(), pixel_judge, 2, count=50, seed=0)) == 2
