"""A made-up project on disk: every file that the report reads, with random pictures and invented numbers."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import yaml
from PIL import Image

from modescope.config import Params, load_params, merge
from modescope.data.prepared import save_prepared
from modescope.data.sources import DIGITS, Dataset
from modescope.data.splits import Split, long_tailed_counts
from modescope.dotted import numbers
from modescope.files import write_json
from modescope.pictures import grid
from modescope.report.results import Folders, Results
from modescope.studies import STUDIES
from modescope.training.collapse import SPREAD

REPOSITORY = Path(__file__).parents[1]
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CLASSES_OF = {"cgan": DIGITS}  # by study
MODELS = ("real", "gan", "vae", "vae-gmm")
OURS = {
    "cgan-ours": {"loss": "hinge", "ema_decay": 0.999, "discriminator_labels": "projection"},
    "cgan-ours-no-ema": {"loss": "hinge", "discriminator_labels": "projection"},
}
FID = {
    "real": 1.5,
    "gan": 40.0,
    "vae": 80.0,
    "vae-gmm": 70.0,
    "stage 1": 60.0,
    "A": 45.0,
    "B": 55.0,
    "C": 58.0,
    "D": 50.0,
    "hybrid": 75.0,
}
FID |= {"bce": 4.0, "lsgan": 5.0, "hinge": 6.0, "wgan-gp": 3.0}
CONSISTENCY = {
    "stage 1": 0.1,
    "A": 0.5,
    "B": 0.2,
    "C": 0.15,
    "D": 0.3,
    "real": 0.9,
    "bce": 0.8,
    "lsgan": 0.7,
    "hinge": 0.6,
    "wgan-gp": 0.85,
}
GRADIENTS = ("train/g_gradient", "train/g_adversarial_gradient", "train/g_class_gradient")
LOSSES = {
    "gan": ("train/d_loss", "train/g_loss"),
    "vae": ("train/loss", "eval/loss"),
    "stage1": ("train/d_loss", "train/d_real", "train/d_fake", "train/g_loss"),
    "stage2": (
        "train/d_loss",
        "train/d_real",
        "train/d_fake",
        "train/g_loss",
        "train/g_adversarial",
        "train/g_class",
        *GRADIENTS,
    ),
}
LOSSES["cgan"] = LOSSES["dcgan"] = (
    "train/d_loss",
    "train/d_real",
    "train/d_fake",
    "train/d_gradient_norm",
    "train/g_loss",
    "train/g_gradient_norm",
)
PICTURES = {"vae": ("samples", "reconstructions"), "cgan": ("samples", "fixed_z")}


@dataclass
class Project:
    """Folders of a made-up project, keys by run name, and what its made-up MLflow holds: key -> final values."""

    root: Path
    keys: dict[str, str] = field(default_factory=dict)
    tracked: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def params(self) -> Params:
        return load_params(self.root / "params.yaml")

    @property
    def folders(self) -> Folders:
        return Folders(self.root / "metrics", self.root / "models", self.root / "data")

    def planned(self, study: str) -> Results:
        """A study's rows, nothing read."""
        return STUDIES[study].rows(self.params, self.folders)

    def read(self, study: str) -> Results:
        """A study's rows with what this project holds of them."""
        return self.planned(study).read(self.read_final)

    def change_params(self, changes: dict) -> None:
        """Lay `changes` over params.yaml."""
        file = self.root / "params.yaml"
        file.write_text(yaml.safe_dump(merge(yaml.safe_load(file.read_text()), changes), sort_keys=False))

    def read_final(self, study: str, keys: list[str]) -> dict[str, dict[str, float]]:
        return {key: self.tracked[key] for key in keys if key in self.tracked}

    def add_run(self, study: str, run: str, folder: Path, metrics: dict, data: str, **more) -> None:
        """Write run.json (with `more` in it) and the metrics file, and file the same numbers in the made-up store."""
        key = self.keys[run] = f"{len(self.keys):016x}"
        info = {
            "key": key,
            "study": study,
            "run": run,
            "stage": f"{study}@{run}",
            "model": "made-up",
            "status": "finished",
            "device": "cpu",
            "precision": "fp32",
        }
        info |= {"params": {"seed": 42}, "started": "2025-01-01T00:00:00+00:00", "versions": {"torch": "2.13.0"}}
        classes = CLASSES_OF.get(study, CLASSES)
        info |= {"data": {"name": data, "digest": "0" * 64, "classes": list(classes)}}
        info |= {
            "seconds": 90.0,
            "steps": 200,
            "steps_per_second": 20.0,
            "images_per_second": 640.0,
            "resumed_from_step": 0,
        }
        write_json(folder / "run.json", info | more)
        write_json(self.folders.metrics_file(study, run), metrics)
        self.tracked[key] = numbers(metrics, classes)

    def change(self, run: str, study: str = "imbalance", **metrics) -> None:
        """Change metrics of a run, in its file and in the store."""
        rewrite(self.folders.metrics_file(study, run), **metrics)
        self.tracked[self.keys[run]] |= numbers(metrics, CLASSES_OF.get(study, CLASSES))


def write_params(
    root: Path, splits: list[str], extractors: list[str], evaluated: list[str], profile: str, more_seeds: list[int]
) -> None:
    """A profile's parameters with fewer splits and models."""
    standard, changes = (
        yaml.safe_load((REPOSITORY / "profiles" / f"{name}.yaml").read_text()) for name in ("standard", profile)
    )
    values = merge(standard, changes)
    values["imbalance"]["splits"] = splits
    values["imbalance"]["evaluated"] = [model for model in evaluated if model != "gan-ours"]
    values["imbalance"]["ours"] = splits if "gan-ours" in evaluated else []
    values["evaluation"]["extractors"] = extractors
    values["cgan"]["ours"] = OURS
    values["inside"] |= {"cgan": ["cgan-ours", "cgan-bce"], "imbalance": [f"{evaluated[0]}-{splits[0]}"]}
    values["inside"] |= {"two_stage": ["stage1"], "explore": dict.fromkeys(values["inside"]["explore"])}
    values["seeds"] |= {"more": more_seeds, "splits": splits[1:], "rows": ["cgan-wgan-gp", "cgan-ours"]}
    (root / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))


def make_split(name: str, params: Params, num_images: int) -> Split:
    """A split with the counts of params.yaml; only its first indices exist."""
    classes, counts = CLASSES, (5000,) * len(CLASSES)
    if name in params.split.counts:
        classes, counts = params.split.classes, params.split.counts[name]
    rho = params.split.long_tailed.get(name)
    if rho is not None:
        counts = long_tailed_counts(5000, len(CLASSES), rho)
    return Split(name, tuple(classes), tuple(counts), params.split.seed, torch.arange(num_images), rho)


def invented_metrics(model: str, split: Split, extractors: list[str], rng: np.random.Generator) -> dict:
    """Numbers of plausible size."""
    counts = dict(zip(split.classes, split.counts, strict=True))
    trained = np.array([counts.get(name, 0) / sum(split.counts) for name in CLASSES])
    noise = 0.01 if model == "real" else 0.3
    share = trained * (1 - noise) + noise * rng.dirichlet(np.ones(len(CLASSES)))
    metrics = {"num_samples": 10000, "num_reference": sum(split.counts)}
    for suffix, scale in (("_classifier", 1.0), ("", 3.0)) if "inception" in extractors else (("_classifier", 1.0),):
        metrics |= {
            f"fid{suffix}": FID[model] * scale * rng.uniform(0.9, 1.1),
            f"kid{suffix}_mean": 0.01 * scale,
            f"kid{suffix}_std": 0.001,
        }
        metrics |= {f"is{suffix}_mean": 2.0 * scale, f"is{suffix}_std": 0.1}
    metrics |= {name: float(rng.uniform(0.1, 0.9)) for name in ("precision", "recall", "density", "coverage")}
    metrics |= {"class_share": share.tolist(), "reference_share": trained.tolist()}
    if split.rho is not None:
        for group, part in (("many", 0.5), ("medium", 0.3), ("few", 0.2)):
            metrics |= {
                f"num_{group}": int(10000 * part),
                f"fid_classifier_{group}": FID[model] / part,
                f"kid_classifier_{group}": 0.01 / part,
            }
            metrics |= {f"recall_{group}": part, f"coverage_{group}": part}
        metrics["recall_of_class"] = rng.uniform(0.1, 0.9, len(CLASSES)).tolist()
    return metrics | {"class_share_kl": 0.1, "class_share_tv": float(abs(share - trained).sum() / 2)}


def invented_consistency(group: str, rng: np.random.Generator) -> dict:
    """How often the judge sees 1,000 images of every class in it."""
    hits = rng.binomial(1000, CONSISTENCY[group] * rng.uniform(0.9, 1.1), len(CLASSES))
    confusion = [
        rng.multinomial(1000 - hit, np.full(len(CLASSES) - 1, 1 / (len(CLASSES) - 1))).tolist() for hit in hits
    ]
    for place, hit in enumerate(hits):
        confusion[place].insert(place, int(hit))
    return {
        "class_consistency": hits.sum() / 10000,
        "class_consistency_per_class": (hits / 1000).tolist(),
        "confusion": confusion,
    }


def write_training(
    folder: Path, kind: str, rng: np.random.Generator, size: int, steps=(100, 200), previews=64, channels=3
) -> None:
    """Curves and preview grids as the training loop writes them."""
    columns = LOSSES.get(kind, ())
    lines = [",".join(("step", *columns, SPREAD))]
    for step in range(10, 210, 10):
        lines.append(",".join([str(step), *(f"{rng.uniform(0.5, 1.5):.3f}" for _ in columns), "0.5"]))
    (folder / "curves.csv").write_text("\n".join(lines) + "\n")
    for name in PICTURES.get(kind, ("samples",)):
        write_previews(folder / name, rng, size, steps, previews, channels)


def write_previews(
    folder: Path, rng: np.random.Generator, size: int, steps=(100, 200), previews=64, channels=3
) -> None:
    """The same images of random squares at every step."""
    folder.mkdir(parents=True)
    squares = rng.integers(0, 256, (previews, channels, 4, 4), dtype=np.uint8)
    sheet = grid(torch.from_numpy(squares.repeat(size // 4, axis=2).repeat(size // 4, axis=3))).numpy()
    for step in steps:
        Image.fromarray(sheet if channels == 3 else sheet[..., 0]).save(folder / f"step-{step:06d}.png")


def add_two_stage(project: Project, params: Params, data: str, size: int, extractors: list[str]) -> None:
    """Studies 1b and 2: every row of params.yaml and the hybrid."""
    rng, split = np.random.default_rng(1), make_split(params.two_stage.split, params, 0)
    for row in project.planned("two-stage").rows:
        folder = project.folders.models / "two-stage" / row.run_name
        metrics = invented_metrics(row.group, split, extractors, rng) | (
            invented_consistency(row.group, rng) if row.has_classes else {}
        )
        adapted = row.stage2 is not None and row.stage2.has_adapters
        metrics |= {} if row.stage2 is None else {"guide_consistency": 0.95}
        more = {"adapter_parameters": 806000, "start_mse": 0.012} if adapted else {}
        project.add_run("two-stage", row.run_name, folder, metrics, data, **more)
        write_training(
            folder,
            "stage1" if row.stage2 is None else "stage2",
            rng,
            size,
            (0, 200) if adapted else (200,),
            80 if row.has_classes else 64,
        )
    codes = {
        f"{test}_{moment}": 0.25
        for test in ("ks_rejected", "ks_max", "mmd", "mmd_p")
        for moment in ("untrained", "vae", "joint")
    }
    folder = project.folders.models / "two-stage" / "hybrid"
    project.add_run("two-stage", "hybrid", folder, invented_metrics("hybrid", split, extractors, rng) | codes, data)


def within_digits(rng: np.random.Generator) -> dict:
    """What is measured on the images of each digit."""
    ranges = {
        "pixel_std": (0.5, 0.7),
        "ms_ssim": (0.2, 0.4),
        "recall_per_class": (0.1, 0.9),
        "coverage_per_class": (0.1, 0.9),
    }
    return {name: rng.uniform(*ends, len(DIGITS)).tolist() for name, ends in ranges.items()}


def add_cgan(project: Project, params: Params, data: str, extractors: list[str]) -> None:
    """Study 3: every row of params.yaml, stacked digits, and real images of both."""
    rng, split, folders = np.random.default_rng(2), make_split("balanced", params, 0), project.folders
    images = torch.from_numpy(rng.integers(0, 256, (80, 1, 28, 28), dtype=np.uint8))
    train = Dataset(data, "official", images, torch.arange(80) % len(DIGITS), DIGITS)
    save_prepared(train, folders.data / "grey" / "train.safetensors", "train")
    speed = {"seconds": 100.0, "steps_per_second": 12.0}
    real = invented_metrics("real", split, extractors, rng) | invented_consistency("real", rng) | within_digits(rng)
    project.add_run("cgan", "real-digits", folders.data / "reference-grey" / "digits", real, data)
    for row in project.planned("cgan").rows:
        metrics = invented_metrics(row.config.loss, split, extractors, rng) | speed
        if row.has_labels:
            labelled = {"fixed_z_classes": rng.integers(5, 11, 8).tolist()}
            metrics |= invented_consistency(row.config.loss, rng) | within_digits(rng) | labelled
        project.add_run("cgan", row.name, folders.models / "cgan" / row.name, metrics, data)
        kind, count = ("cgan", 80) if row.has_labels else ("dcgan", 64)
        write_training(folders.models / "cgan" / row.name, kind, rng, 28, (200,), count, channels=1)
    for runs in project.planned("cgan").seeds.names.values():
        for run in list(runs.values())[1:]:
            metrics = invented_metrics("bce", split, extractors, rng) | invented_consistency("bce", rng) | speed
            project.add_run("cgan", run, folders.models / "cgan" / run, metrics, data)
    for loss in (*params.stacked.losses, "real"):
        folder = (
            folders.data / "reference-grey" / "stacked"
            if loss == "real"
            else folders.models / "cgan" / f"stacked-{loss}"
        )
        modes = int(rng.integers(100, 1000))
        metrics = {"modes_covered": modes, "modes_enough": modes // 2, "kl_to_uniform": 1.5, "num_samples": 26000}
        run = "stacked-real" if loss == "real" else f"stacked-{loss}"
        project.add_run("cgan", run, folder, metrics if loss == "real" else metrics | speed, data)
        write_previews(folder / "samples", rng, 28, (0,))


def add_inside(project: Project, data: dict[str, str], size: int) -> None:
    """The looks inside runs of every study; `data` is its data set's name."""
    rng, clusters = np.random.default_rng(3), project.params.inside.clusters
    for study, name in data.items():
        classes, has_labels = len(CLASSES_OF.get(study, CLASSES)), study != "imbalance"
        pixels, channels = (28, 1) if study == "cgan" else (size, 3)
        for run, folder in project.planned(study).inside(study).items():
            measured = {one: float(rng.uniform()) for one in ("between_classes", "between_classes_real")}
            for kind in ("z", *["labels"] * has_labels, "blend", "blend_labels"):
                measured |= {f"{one}_{kind}": float(rng.uniform()) for one in ("changes", "jump", "sure")}
            for space in ("judge", "pixels"):
                tests = [f"{one}{of}" for of in ("", "_test", "_planted") for one in ("near_copies", "ct", "ct_p")]
                measured |= {f"{one}_{space}": float(rng.uniform()) for one in ("nearer_than_test", *tests)}
            measured |= {"clusters_lost": 3, "clusters_lost_test": 0, "num_clusters": clusters * classes}
            for of in ("", "_test"):
                measured[f"coverage_per_class{of}"] = rng.uniform(size=classes).tolist()
                measured[f"coverage_per_cluster{of}"] = rng.uniform(size=clusters * classes).tolist()
            project.add_run(study, run, folder, measured | {"pairs": ["a / b", "b / c"]}, name)
            blocks = {"lost": 16, "least_sure": 12, "between": 12} | ({"misjudged": 12} if has_labels else {})
            for kind, rows in blocks.items():
                write_previews(folder / kind, rng, pixels, (0,), rows * classes, channels)
            write_previews(folder / "paths", rng, pixels, (0,), (1 + has_labels) * classes * 11, channels)


def build_project(
    root: Path,
    splits=("balanced", "split1"),
    extractors=("judge",),
    data="cifar10-jpeg",
    size=8,
    evaluated=MODELS[1:],
    profile="standard",
    more_seeds=(),
) -> Project:
    """Write a whole made-up project below `root`."""
    rng = np.random.default_rng(0)
    write_params(root, list(splits), list(extractors), list(evaluated), profile, list(more_seeds))
    project = Project(root)
    params = project.params
    grey = "digits" if data.startswith("digits") else "mnist"
    images = torch.from_numpy(rng.integers(0, 256, (16, 3, size, size), dtype=np.uint8))
    train = Dataset(data, "parquet", images, torch.arange(16) % len(CLASSES), CLASSES)
    save_prepared(train, project.folders.data / "rgb" / "train.safetensors", "train")
    for name in params.classifiers:
        metrics = {
            "accuracy": 0.85,
            "accuracy_per_class": [0.85] * 10,
            "nll": 0.5,
            "ece_before": 0.06,
            "ece_after": 0.01,
        }
        folder = project.folders.models / "classifiers" / name
        project.add_run(
            "classifiers",
            name,
            folder,
            metrics | {"temperature": 1.4, "num_test": 10000, "seconds": 60.0},
            grey if name == "grey-judge" else data,
        )
        (folder / "model.safetensors").write_bytes(name.encode())
    for name in splits:
        split = make_split(name, params, len(images))
        split.save(project.folders.data / "splits" / f"{name}.json")
        for model in MODELS:
            folder = (
                project.folders.data / "reference" / name
                if model == "real"
                else project.folders.models / "imbalance" / f"{model}-{name}"
            )
            project.add_run(
                "imbalance", f"{model}-{name}", folder, invented_metrics(model, split, extractors, rng), data
            )
            if model != "real":
                write_training(folder, model, rng, size)
    for row, runs in project.planned("imbalance").seeds.names.items():
        model, _, name = row.partition("-")
        for run in list(runs.values())[1:]:
            metrics = invented_metrics(model, make_split(name, params, 0), list(extractors), rng)
            project.add_run("imbalance", run, project.folders.models / "imbalance" / run, metrics, data)
    add_two_stage(project, params, data, size, list(extractors))
    add_cgan(project, params, grey, list(extractors))
    add_inside(project, {"imbalance": data, "two-stage": data, "cgan": grey}, size)
    return project


def rewrite(path: Path, **changes) -> None:
    """Change values of a JSON file; None removes one."""
    content = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}), encoding="utf-8")
