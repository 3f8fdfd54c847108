"""A look inside a run: planted copies, a lost mode, wrong samples and crooked paths are found, and nothing else is."""

import pytest
import torch

from modescope.data.prepared import Dataset
from modescope.data.splits import Split
from modescope.errors import UserError
from modescope.evaluation import copying, failures, lost
from modescope.evaluation.features import extract_features
from modescope.evaluation.inside import BLANK, columns, look_inside
from modescope.evaluation.paths import Walker, blends, mixed_embeddings, path_metrics, spherical
from modescope.evaluation.prdc import find_neighbours
from modescope.evaluation.real_images import RealImages, cluster_centres, save_seen, see
from modescope.evaluation.samplers import GeneratorSampler, Samples
from modescope.training.priors import MixturePrior, NormalPrior


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_nearest_finds_rows_and_copies_exactly():
    rows, queries = normal(25_000, 6), normal(50, 6, seed=1)
    found = copying.nearest(torch.cat([queries, rows[[3, 24_000]]]), rows)
    distances = torch.cdist(queries.double(), rows.double())
    assert found.rows[:50].equal(distances.argmin(1)) and found.rows[50:].tolist() == [3, 24_000]
    torch.testing.assert_close(found.distances[:50], distances.amin(1))
    assert found.distances[50:].tolist() == [0, 0]


def test_nearest_takes_pixels():
    images = torch.randint(0, 256, (30, 3, 4, 4), dtype=torch.uint8)
    found = copying.nearest(images.flip(0), images)
    assert found.rows.tolist() == [*range(29, -1, -1)] and not found.distances.any()


def test_mann_whitney_is_scipys():
    from scipy.stats import mannwhitneyu, norm

    one, other = (normal(n, seed=n).mul(4).round().double() for n in (40, 70))  # with ties
    p = mannwhitneyu(one, other, alternative="less", method="asymptotic", use_continuity=False).pvalue
    assert norm.cdf(copying.mann_whitney(one, other)) == pytest.approx(p, rel=1e-9)


def distances(copies, seed, count=2000):
    """Images to training images, of which `copies` are copies of some."""
    train, images = normal(5000, 8), normal(count, 8, seed=seed)
    images[: int(copies * count)] = train[: int(copies * count)]
    cells = (images[:, :2] > 0).long() @ torch.tensor([1, 2])
    return copying.nearest(images, train).distances, cells


def test_planted_copies_are_found_and_new_images_are_not():
    test, test_cells = distances(0.0, seed=1)
    for copies, found in ((0.0, False), (0.1, True)):
        samples, cells = distances(copies, seed=2)
        tested = copying.data_copying(samples, test, cells, test_cells)
        assert (tested.p < 0.01) == found
    assert copying.nearer_than(test, test) == pytest.approx(0.5)


def test_a_copying_part_of_the_space_is_found():
    """Where the samples of all other parts are farther away than test images."""
    test, cells = distances(0.0, seed=1)
    samples = torch.where(cells == 0, test * 0.2, test * 1.05)
    assert copying.data_copying(samples, test, cells, cells).ct < -1 < copying.mann_whitney(test * 1.05, test)


def test_small_cells_do_not_count_where_there_are_others():
    few, many = torch.arange(6.0), torch.arange(30.0)
    cells = (many < 25).long()
    assert copying.data_copying(few, few, few.long(), few.long()) is None
    assert copying.data_copying(many, many + 1, many.long(), many.long()).ct < 0
    only = copying.data_copying(many[:25], many[:25] + 1, cells[:25], cells[:25])
    assert copying.data_copying(many, many + 1, cells, cells) == pytest.approx(only)
    metrics = copying.copying_metrics(few, few, few.long(), few.long(), few.long(), seed=0)
    assert not any(name.startswith("ct") for name in metrics)


def test_every_rows_controls_work():
    samples, cells = distances(0.0, seed=3)
    test, test_cells = distances(0.0, seed=1)
    metrics = copying.copying_metrics(samples, test, cells, test_cells, test_cells, seed=0)
    assert metrics["ct_p_planted"] < 0.01 < min(metrics["ct_p_test"], metrics["ct_p"])
    assert metrics["near_copies"] == pytest.approx(0.01, abs=0.01)
    assert metrics["nearer_than_test"] == pytest.approx(0.5, abs=0.03)


def test_coverage_is_that_of_the_scores():
    real, generated = normal(300, 5), normal(200, 5, seed=1) * 0.7
    covered = find_neighbours(real, generated, 5).covered
    assert (lost.reach(real, generated, 5).far < 1).equal(covered) and 0 < covered.sum() < 300


def test_a_lost_mode_is_found_by_class_by_cluster_and_by_image():
    labels = torch.arange(400) // 200
    real = normal(400, 4) + 20 * labels[:, None]
    real[:100, 0] += 50  # a second mode of class 0
    centres = cluster_centres(real, labels, 2, seed=0)
    cells = torch.cdist(real, centres).argmin(1)
    assert (cells // 2).equal(labels)
    generated = torch.cat([real[100:200], real[200:]]) + 0.01
    far = lost.reach(real, generated, 5).far
    metrics = lost.coverage_metrics(far, labels, cells, 2, 2)
    assert metrics["coverage_per_class"] == [0.5, 1.0]
    assert sorted(metrics["coverage_per_cluster"]) == [0, 1, 1, 1]
    assert (metrics["clusters_lost"], metrics["num_clusters"]) == (1, 4)
    rows = lost.most_lost(far, labels, 2, 8)
    assert len(rows[0]) == 8 and rows[0].max() < 100 and len(rows[1]) == 0


def test_a_class_needs_an_image_for_every_cluster():
    with pytest.raises(UserError, match="class 1 has 1 images for 2 clusters"):
        cluster_centres(normal(5, 3), torch.tensor([0, 0, 0, 0, 1]), 2, seed=0)


LOGITS = torch.tensor([[9.0, 0, 0], [2, 0, 0], [0, 0.01, -9], [0, 9, 0], [0, 5, 0], [0, 0, 9]])
LABELS = torch.tensor([0, 0, 0, 0, 0, 2])


def test_failures_by_class():
    doubt = failures.Doubt.of(LOGITS)
    assert [rows.tolist() for rows in failures.least_sure(doubt, LABELS, 3, 2)] == [[2, 1], [], [5]]
    assert [rows.tolist() for rows in failures.misjudged(doubt, LABELS, 3, 2)] == [[3, 4], [], []]
    assert {pair: rows.tolist() for pair, rows in failures.between(doubt, 3, 4).items()} == {(0, 1): [2]}
    metrics = failures.failure_metrics(doubt, failures.Doubt.of(LOGITS[:1]), list("abc"))
    assert metrics["between_classes"] == pytest.approx(1 / 6) and metrics["between_classes_real"] == 0
    assert metrics["pairs"] == ["a / b"]


def test_columns_are_blank_where_nothing_failed():
    images = torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1)
    sheet = columns(images, [torch.tensor([2, 3]), torch.tensor([], dtype=torch.int64)], height=2)
    assert sheet.flatten().tolist() == [2, BLANK, 3, BLANK]


def test_arcs_keep_the_length():
    one, other = (each / each.norm(dim=1, keepdim=True) for each in (normal(3, 5), normal(3, 5, seed=1)))
    arcs = spherical(one, other)
    torch.testing.assert_close(arcs.norm(dim=2), torch.ones(3, 11))
    torch.testing.assert_close(arcs[:, [0, -1]], torch.stack([one, other], 1))
    steps = arcs.diff(dim=1).norm(dim=2)
    torch.testing.assert_close(steps, steps[:, :1].expand(-1, 10))


class Linear(torch.nn.Module):
    """z, or z and a label's embedding, as eight pixels of which the label brightens one."""

    def __init__(self, num_classes=None):
        super().__init__()
        self.latent_dim, self.scale = 8, torch.nn.Parameter(torch.tensor(0.05))
        self.code = None if num_classes is None else torch.nn.Embedding(num_classes, 8)
        if self.code is not None:
            self.code.weight.data = 0.8 * torch.eye(num_classes, 8)

    def forward(self, z, labels=None):
        flat = self.scale * z + (0 if labels is None else self.code(labels))
        return flat.view(-1, 1, 2, 4).clamp(-1, 1)


def test_embeddings_are_mixed_inside_and_not_after():
    network, labels = Linear(4), torch.tensor([0, 1])
    with mixed_embeddings(network, torch.tensor([2, 2]), torch.tensor([0.0, 0.25])):
        first, second = network.code(labels)
    assert first.equal(network.code.weight[0])
    torch.testing.assert_close(second, 0.75 * network.code.weight[1] + 0.25 * network.code.weight[2])
    assert network.code(labels).equal(network.code.weight[:2])


def test_a_path_from_label_to_label_changes_its_class_once(pixel_judge):
    walker = Walker(GeneratorSampler(Linear(4), NormalPrior(8, 4), conditional=True), 40, seed=0)
    kept, changed = (path_metrics(each, pixel_judge) for each in (walker.between_latents(), walker.between_labels()))
    assert kept["changes"] == 0 and changed["changes"] == 1 and changed["sure"] < kept["sure"]
    assert changed["jump"] == pytest.approx(1, abs=0.1)


def test_a_mixtures_means_are_mixed():
    means = 10 * torch.eye(4, 8)
    walker = Walker(GeneratorSampler(Linear(), MixturePrior(means, 0.01)), 4, seed=0)
    ends = walker.between_labels()[:, [0, -1]].flatten(2).argmax(2)
    assert ends.tolist() == [[0, 1], [1, 2], [2, 3], [3, 0]]


def test_blends_are_even_and_jumps_are_seen(pixel_judge):
    one, other = (torch.randint(0, 256, (5, 1, 4, 4), dtype=torch.uint8) for _ in range(2))
    faded = blends(one, other)
    assert faded[:, 0].equal(one) and faded[:, -1].equal(other)
    assert path_metrics(faded, pixel_judge)["jump"] == pytest.approx(1, abs=0.1)
    sudden = torch.stack([one] * 6 + [other] * 5, 1)
    assert path_metrics(sudden, pixel_judge)["jump"] == pytest.approx(10)


@pytest.mark.parametrize("rho", [None, 10.0])
def test_a_look_inside_a_generator_that_lost_a_class_and_copies(tmp_path, pixel_judge, settings, draw_images, rho):
    (images, labels), (test_images, test_labels) = (draw_images(n, [0.25] * 4, seed=n) for n in (900, 400))
    names = tuple("abcd")
    train, test = Dataset("x", "digits", images, labels, names), Dataset("x", "digits", test_images, test_labels, names)
    counts = tuple(torch.bincount(labels).tolist())
    split = Split("s", names, counts, 0, torch.arange(900), rho)
    centres = cluster_centres(extract_features(images, pixel_judge).features, labels, 1, seed=0)
    save_seen(see(images, labels, pixel_judge), see(test_images, test_labels, pixel_judge), centres, tmp_path)
    real = RealImages.load(tmp_path, train, test, split, settings)
    assert len(real.trained.images) == 900 and len(real.reference.images) == 250

    class Copier:
        num_classes = 4

        def sample(self, count, seed, labels=None):
            kept = images[train.labels != 3]
            return Samples(kept[torch.arange(count) % len(kept)], torch.arange(count) % 4)

    look = look_inside(Copier(), real, pixel_judge, settings, paths=8)
    assert look.metrics["clusters_lost"] == 1 and look.metrics["coverage_per_class"][3] < 0.1
    assert look.metrics["clusters_lost_test"] == 0
    assert look.metrics["ct_p_judge"] < 1e-9 and look.metrics["ct_p_pixels"] < 1e-9
    assert look.pictures.keys() == {"lost", "least_sure", "misjudged", "between"}


def test_features_of_other_images_are_refused(tmp_path, pixel_judge, settings, draw_images):
    images, labels = draw_images(60, [0.25] * 4, seed=0)
    seen, other = (see(images, labels, pixel_judge) for _ in range(2))
    save_seen(seen, other, torch.zeros(4, 8), tmp_path)
    train = Dataset("x", "digits", images[:50], labels[:50], tuple("abcd"))
    with pytest.raises(UserError, match="other images than x"):
        RealImages.load(tmp_path, train, train, Split("s", (), (), 0, torch.arange(5)), settings)
