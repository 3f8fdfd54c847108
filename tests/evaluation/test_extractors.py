import json

import pytest
import torch
from torch_fidelity import feature_extractor_inceptionv3 as published
from torchmetrics.image.fid import FrechetInceptionDistance, NoTrainInceptionV3

from modescope.errors import UserError
from modescope.evaluation import extractors
from modescope.evaluation.extractors import INCEPTION_WEIGHTS, Inception, Judge, find_inception_weights, load_extractors
from modescope.evaluation.features import extract_features
from modescope.files import sha256
from modescope.models.classifiers import build_classifier
from modescope.models.weights import save_weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A weights file of Inception's architecture, randomly initialised."""
    path = tmp_path_factory.mktemp("weights") / INCEPTION_WEIGHTS
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(published, "load_state_dict_from_url", lambda *_, **__: None)
        patch.setattr(published.FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        network = NoTrainInceptionV3("inception-v3-compat", ["2048"])
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture
def images():
    return torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def classifier_folder(tmp_path):
    """Writes an untrained classifier of the given role."""

    def write(role: str):
        settings = {"network": "resnet", "widths": [4, 6], "role": role}
        info = {"run": "tiny", "params": {"classifiers": {"tiny": settings}}, "data": {"classes": list("abcde")}}
        save_weights(build_classifier("resnet", [4, 6], num_classes=5, in_channels=3, role=role).state_dict(), tmp_path)
        (tmp_path / "run.json").write_text(json.dumps(info))
        return tmp_path

    return write


def test_judge_gives_features_and_logits_whatever_the_batch(classifier_folder, images):
    folder = classifier_folder("judge")
    judge = Judge(folder, "cpu")
    whole, single = extract_features(images, judge), extract_features(images, judge, batch_size=1)
    assert whole.features.shape == (3, 6) and whole.logits.shape == (3, 5)
    assert torch.allclose(whole.features, single.features, atol=1e-6) and torch.allclose(
        whole.logits, single.logits, atol=1e-6
    )
    expected_features, expected_logits = judge.network.features(images.float() / 255)
    assert torch.allclose(whole.features, expected_features, atol=1e-6) and torch.allclose(
        whole.logits, expected_logits, atol=1e-6
    )
    assert judge.identity == sha256(folder / "model.safetensors")


def test_a_guide_does_not_judge(classifier_folder):
    with pytest.raises(UserError, match="is a guide"):
        load_extractors(["judge"], classifier_folder("guide"), "cpu")


def test_the_judge_is_always_among_the_extractors(classifier_folder):
    with pytest.raises(UserError, match="must name `judge`"):
        load_extractors(["inception"], classifier_folder("judge"), "cpu")


def test_inception_sees_what_torchmetrics_sees(weights, images):
    inception = Inception(weights, "cpu", expected_sha256=sha256(weights)[:8])
    seen = extract_features(images, inception, batch_size=2)
    assert seen.features.shape == (3, 2048) and seen.logits.shape == (3, 1008)
    theirs = FrechetInceptionDistance(feature=2048, feature_extractor_weights_path=weights).inception
    expected = theirs(images)
    assert torch.allclose(seen.features, expected, rtol=1e-4, atol=1e-5)
    assert seen.features.std() > 0
    theirs.features_list = ["logits_unbiased"]
    assert torch.allclose(seen.logits, theirs(images), rtol=1e-4, atol=1e-5)


def test_grey_is_repeated_into_three_channels(weights, images):
    inception = Inception(weights, "cpu", expected_sha256=sha256(weights)[:8])
    grey = images[:1, :1]
    assert torch.equal(inception(grey)[0], inception(grey.repeat(1, 3, 1, 1))[0])
    with pytest.raises(ValueError, match=r"1 or 3 channels, received \(3, 2, 32, 32\)"):
        inception(images[:, :2])


def test_weights_of_another_hash_are_refused(weights):
    with pytest.raises(UserError, match="sha256 starts with .*, expected 6726825d"):
        Inception(weights, "cpu")


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A repository without weights, a network without the release."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("MODESCOPE_INCEPTION", raising=False)
    monkeypatch.delenv("MODESCOPE_MIRROR", raising=False)
    monkeypatch.setattr(extractors, "INCEPTION_URLS", ("http://127.0.0.1:9/",))
    return tmp_path


def test_missing_weights_name_the_ways_out(nowhere):
    with pytest.raises(
        UserError, match="MODESCOPE_INCEPTION, or take `inception` out of evaluation.extractors"
    ) as error:
        find_inception_weights()
    assert "\n" not in str(error.value)


def test_weights_are_found_by_name_then_in_the_mirror_then_in_the_cache(nowhere, monkeypatch):
    monkeypatch.setattr(extractors, "INCEPTION_SHA256", "")
    named, mirrored, cached = (
        nowhere / "named.pth",
        nowhere / "mirror" / INCEPTION_WEIGHTS,
        nowhere / "data" / "raw" / INCEPTION_WEIGHTS,
    )
    for path in (named, mirrored, cached):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"weights")
    assert find_inception_weights() == cached
    monkeypatch.setenv("MODESCOPE_MIRROR", str(nowhere / "mirror"))
    assert find_inception_weights() == mirrored
    monkeypatch.setenv("MODESCOPE_INCEPTION", "named.pth")
    assert find_inception_weights() == named
    named.unlink()
    with pytest.raises(UserError, match="named.pth is no file"):
        find_inception_weights()


def test_an_altered_file_in_the_mirror_is_refused(nowhere, monkeypatch):
    (nowhere / INCEPTION_WEIGHTS).write_bytes(b"altered")
    monkeypatch.setenv("MODESCOPE_MIRROR", str(nowhere))
    with pytest.raises(UserError, match="truncated or altered.*expected 6726825d"):
        find_inception_weights()
