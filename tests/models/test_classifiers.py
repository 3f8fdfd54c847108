import pytest
import torch
from torch import nn

from modescope.errors import UserError
from modescope.files import write_json
from modescope.models.airbench import make_net96, whiten
from modescope.models.classifiers import build_classifier, load_classifier, load_judge
from modescope.models.weights import save_weights
from modescope.runs.folder import WEIGHTS_FILE

SMALL = {
    "airbench96": ([4, 6, 8], 3, 32, 8),
    "resnet": ([4, 6, 8], 3, 32, 8),
    "digit-cnn": ([4, 6, 8, 10], 1, 28, 10),
}


def build(network, role="judge", num_classes=5):
    widths, channels, _, _ = SMALL[network]
    torch.manual_seed(0)
    return build_classifier(network, widths, num_classes, channels, role)


def images(network, count=3):
    _, channels, pixels, _ = SMALL[network]
    return torch.rand(count, channels, pixels, pixels, generator=torch.Generator().manual_seed(1))


def save_run(classifier, network, folder, role="judge", num_classes=5):
    save_weights(classifier.state_dict(), folder)
    settings = {"network": network, "widths": SMALL[network][0], "role": role}
    info = {
        "run": "it",
        "params": {"classifiers": {"it": settings}},
        "data": {"classes": list("abcdefgh")[:num_classes]},
    }
    write_json(folder / "run.json", info)


@pytest.mark.parametrize("network", SMALL)
def test_shapes(network):
    classifier = build(network).eval()
    features, logits = classifier.features(images(network))
    assert features.shape == (3, SMALL[network][3]) and features.dtype == torch.float32
    assert logits.shape == (3, 5) and logits.dtype == torch.float32
    assert torch.equal(classifier(images(network)), logits)


@pytest.mark.parametrize("network", SMALL)
def test_other_shapes_are_refused(network):
    channels, pixels = SMALL[network][1:3]
    for shape in ((channels, pixels, pixels), (2, channels, pixels, pixels + 1), (2, 4 - channels, pixels, pixels)):
        with pytest.raises(ValueError, match=rf"expected images of shape \(N, {channels}, {pixels}, {pixels}\), got"):
            build(network)(torch.zeros(shape))


@pytest.mark.parametrize("network, widths", [("airbench96", [4, 6]), ("digit-cnn", [4, 6, 8])])
def test_widths_that_do_not_fit_are_refused(network, widths):
    with pytest.raises(ValueError, match=f"expected . widths, got \\{widths}"):
        build_classifier(network, widths, 10, 1, "judge")


def test_airbench96_is_the_packages_network(monkeypatch):
    monkeypatch.setattr(nn.Module, "half", lambda self: self)
    monkeypatch.setattr(nn.Module, "cuda", lambda self: self)
    theirs = make_net96({"block1": 4, "block2": 6, "block3": 8})
    ours = build("airbench96", num_classes=10).layers
    assert str(ours) == str(theirs)
    assert [weight.requires_grad for weight in ours.parameters()] == [
        weight.requires_grad for weight in theirs.parameters()
    ]
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(ours(x), theirs(x))


def test_importing_airbench_leaves_cudnn_alone():
    assert torch.backends.cudnn.benchmark is False


def test_whitened_patches_are_uncorrelated():
    layers = build("airbench96").layers
    noise = torch.randn(200, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    correlated = nn.functional.avg_pool2d(noise, 3, stride=1, padding=1) + 0.5 * noise[:, :1]
    whiten(layers, correlated)
    layers[0].bias.data.zero_()
    with torch.no_grad():
        outputs = layers[0](correlated)[:, :12].transpose(0, 1).flatten(1)
    covariance = outputs @ outputs.T / outputs.shape[1]
    assert covariance.numpy() == pytest.approx(torch.eye(12).numpy(), abs=0.05)


def test_temperature_divides_the_logits():
    classifier = build("resnet").eval()
    before = classifier(images("resnet"))
    classifier.temperature.fill_(2.0)
    assert classifier(images("resnet")).detach().numpy() == pytest.approx((before / 2).detach().numpy(), rel=1e-6)


@pytest.mark.parametrize("network", SMALL)
def test_loaded_is_what_was_saved(network, tmp_path):
    classifier = build(network)
    classifier(images(network, 8))  # moves BatchNorm's statistics
    classifier.temperature.fill_(1.5)
    save_run(classifier, network, tmp_path)
    loaded = load_judge(tmp_path)
    assert (
        loaded.role == "judge"
        and not loaded.training
        and not any(weight.requires_grad for weight in loaded.parameters())
    )
    assert torch.equal(loaded(images(network)), classifier.eval()(images(network)))


def test_images_may_receive_gradients_of_a_frozen_classifier(tmp_path):
    save_run(build("airbench96"), "airbench96", tmp_path)
    x = images("airbench96").requires_grad_()
    load_classifier(tmp_path)(x).sum().backward()
    assert x.grad.abs().sum() > 0


def test_a_guide_is_no_judge(tmp_path):
    save_run(build("airbench96", "guide"), "airbench96", tmp_path, role="guide")
    assert load_classifier(tmp_path).role == "guide"
    with pytest.raises(UserError, match="is a guide.*name a judge"):
        load_judge(tmp_path)


def remove_weights(folder):
    (folder / WEIGHTS_FILE).unlink()


def truncate_weights(folder):
    (folder / WEIGHTS_FILE).write_bytes((folder / WEIGHTS_FILE).read_bytes()[:100])


def add_a_class(folder):
    save_run(build("resnet"), "resnet", folder, num_classes=6)


def forget_the_network(folder):
    write_json(folder / "run.json", {"run": "it", "params": {}, "data": {"classes": []}})


@pytest.mark.parametrize(
    "harm, message",
    [
        (remove_weights, "is missing"),
        (truncate_weights, "does not fit"),
        (add_a_class, "does not fit"),
        (forget_the_network, "does not fit"),
    ],
)
def test_a_damaged_run_is_refused(harm, message, tmp_path):
    save_run(build("resnet"), "resnet", tmp_path)
    harm(tmp_path)
    with pytest.raises(UserError, match=message):
        load_classifier(tmp_path)
