"""The VAE trained by our loop is the one that pythae's trainer trains."""

import pytest
import torch
from pythae.data.datasets import BaseDataset
from pythae.trainers import BaseTrainer, BaseTrainerConfig

from fakes import ListLog
from modescope.config import parse_params, profile_values
from modescope.data.batches import to_unit
from modescope.models.vae import build_vae
from modescope.training.checkpoints import Checkpoint
from modescope.training.loop import train
from modescope.training.vae import vae_losses, vae_training

SETTINGS = parse_params(profile_values("demo"), "demo").imbalance.vae.model_copy(
    update={"batch_size": 32, "max_steps": 3, "epochs": 3}
)


def images(count):
    return torch.randint(0, 256, (count, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def test_losses_are_pythaes():
    torch.manual_seed(0)
    model, batch = build_vae(4), to_unit(images(6))
    torch.manual_seed(1)
    expected = model({"data": batch})
    torch.manual_seed(1)
    loss, reconstruction, kl = vae_losses(model, batch)
    assert loss.item() == pytest.approx(expected.loss.item(), rel=1e-6)
    assert reconstruction.item() == pytest.approx(expected.recon_loss.item(), rel=1e-6)
    assert kl.item() == pytest.approx(expected.reg_loss.item(), rel=1e-6)


def test_the_loop_gives_the_losses_of_pythaes_trainer(tmp_path, monkeypatch):
    """One batch an epoch and noise of zeros: no order or random number can differ, three AdamW steps agree."""
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)
    training = vae_training(SETTINGS, images(40), torch.zeros(40, dtype=torch.int64), seed=3)
    objective = training.objective
    shown, _ = training.stream.batch(0)
    sets = [BaseDataset(to_unit(part), torch.zeros(len(part))) for part in (shown, objective.eval_images)]
    model = build_vae(SETTINGS.latent_dim)
    model.load_state_dict(objective.model.state_dict())
    config = BaseTrainerConfig(
        output_dir=str(tmp_path), num_epochs=3, learning_rate=SETTINGS.lr, per_device_train_batch_size=32,
        per_device_eval_batch_size=32, optimizer_cls="AdamW", no_cuda=True,
        optimizer_params={"betas": tuple(SETTINGS.betas), "weight_decay": SETTINGS.weight_decay},
    )  # fmt: skip
    trainer = BaseTrainer(model, *sets, training_config=config)
    trainer.prepare_training()
    expected = [value for epoch in (1, 2, 3) for value in (trainer.train_step(epoch), trainer.eval_step(epoch))]
    log = ListLog()
    train(training, log=log, checkpoint=Checkpoint(tmp_path / "ours"), precision="fp32")
    actual = [value for _, row in log.rows for value in (row["train/loss"], row["eval/loss"])]
    assert actual == pytest.approx(expected, rel=1e-4)


def test_the_best_epoch_is_kept():
    training = vae_training(SETTINGS, images(40), torch.zeros(40, dtype=torch.int64), seed=3)
    objective = training.objective
    values = iter([5.0, 3.0, 4.0])
    objective.eval_loss = lambda: next(values)
    bias = objective.model.encoder.embedding.bias.data
    for step in (1, 2, 3):
        bias.fill_(float(step))
        assert objective.after_step(step) == {"eval/loss": [5.0, 3.0, 4.0][step - 1]}
    assert torch.equal(objective.weights()["encoder.embedding.bias"], torch.full_like(bias, 2.0))
