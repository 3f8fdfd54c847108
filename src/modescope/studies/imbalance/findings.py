"""What study 1 found: the numbers that fill the sentences of texts.yaml."""

from collections.abc import Iterable, Sequence

import torch

from modescope.data.splits import frequency_groups
from modescope.report.claims import FID, PRECISION, RECALL, TV, Claim
from modescope.report.inside import copies
from modescope.report.page import Finding
from modescope.report.wording import listing
from modescope.studies.imbalance.rows import LOOKS, NAME, REAL, TEXTS, WITH_LABELS, ImbalanceRows

LOST = 0.1  # a class is called lost when it has less than this part of its training share


def findings(results: ImbalanceRows) -> list[Finding]:
    """In the order of the report's claim: coverage, the rarest class, lost classes; then quality."""
    if not results.imbalanced:
        return [_long_tail(results, name) for name in results.long_tailed]
    found = [_rarest_class(results), _lost_classes(results)]
    if {"gan", "vae"} <= set(results.models):
        repeated = [_over_seeds(results)] if _repeated(results) else []
        found = [_coverage(results), *repeated, *found, _quality(results, "gan", "vae")]
    if {"gan", "gan-ours"} <= set(results.models):
        found.append(_quality(results, "gan-ours", "gan"))
    if {"vae", "vae-gmm"} <= set(results.models):
        found.append(_quality(results, "vae-gmm", "vae"))
    found += [_long_tail(results, name) for name in results.long_tailed]
    return found + ([copies(results, NAME)] if results.inside(NAME) else [])


def _pairs(results: ImbalanceRows, model: str, other: str, splits: Iterable[str]) -> list:
    """The runs of both models on these splits, with the floor."""
    return [tuple(results.run(of, split) for of in (model, other, REAL)) for split in splits]


def _coverage(results: ImbalanceRows) -> Finding:
    """GAN against VAE by the total variation of class shares."""
    claim = Claim(TV, _pairs(results, "vae", "gan", results.imbalanced))
    vae, gan, floor = map(TV.spans, zip(*claim.pairs, strict=True))
    alike, total = claim.verdicts.count(0), len(claim.pairs)
    return TEXTS.finding("coverage", claim=claim, alike=alike, total=total, vae=vae, gan=gan, floor=floor)


def _repeated(results: ImbalanceRows) -> list[str]:
    """The imbalanced splits on which GAN and VAE are trained with several seeds."""
    names = results.seeds.names
    return [split for split in results.imbalanced if all(f"{model}-{split}" in names for model in ("gan", "vae"))]


def _over_seeds(results: ImbalanceRows) -> Finding:
    """GAN against VAE, seed by seed."""
    names, runs, splits = results.seeds.names, results.runs, _repeated(results)
    claims, counts = {}, []
    for metric in (TV, FID):
        pairs = {
            split: [
                (runs[names[f"vae-{split}"][seed]], runs[name], results.run(REAL, split))
                for seed, name in names[f"gan-{split}"].items()
            ]
            for split in splits
        }
        verdicts = [set(Claim(metric, pairs[split]).verdicts) for split in pairs]
        claims[metric.key] = Claim(metric, [pair for each in pairs.values() for pair in each])
        counts += [verdicts.count({1}), verdicts.count({-1})]
    vae, gan = (TV.spans(runs) for runs in list(zip(*claims[TV.key].pairs, strict=True))[:2])
    facts = dict(zip(("vae_tv", "gan_tv", "vae_fid", "gan_fid"), counts, strict=True))
    seeds = listing(list(map(str, results.seeds.seeds)))
    return TEXTS.finding("over_seeds", seeds=seeds, total=len(splits), vae=vae, gan=gan, **facts)


def _rarest_class(results: ImbalanceRows) -> Finding:
    """The classes with the fewest images in the most imbalanced split."""
    name, split = max(results.imbalanced.items(), key=lambda item: item[1].ratio)
    rare = [label for label, count in zip(split.classes, split.counts, strict=True) if count == min(split.counts)]
    indices = [results.classes.index(label) for label in rare]
    return TEXTS.finding(
        "rarest_class",
        split=name,
        ratio=split.ratio,
        classes=" and ".join(rare),
        verb="is" if len(rare) == 1 else "are together",
        trained=_part(results.training_share(name), indices),
        seen=_seen(results, name, indices),
    )


def _part(share: Sequence[float], classes: Sequence[int]) -> str:
    """What these classes have together."""
    return f"{sum(share[index] for index in classes):.1%}"


def _seen(results: ImbalanceRows, split: str, classes: Sequence[int]) -> str:
    """The same of every model's images and of real ones, as the judge sees them."""
    return ", ".join(
        f"{label} {_part(results.class_share(model, split), classes)}" for label, model in results.shown(split).items()
    )


def _lost_classes(results: ImbalanceRows) -> Finding:
    """Classes with less than LOST of their training share, over all splits."""
    wanted = {name: results.training_share(name) for name in results.imbalanced}
    total, counts = sum(share > 0 for shares in wanted.values() for share in shares), []
    for model in results.params.imbalance.evaluated:
        pairs = [zip(results.class_share(model, name), share, strict=True) for name, share in wanted.items()]
        counts.append(f"{LOOKS[model].label} {sum(got < LOST * target for split in pairs for got, target in split)}")
    return TEXTS.finding("lost_classes", lost=LOST, total=total, counts=", ".join(counts))


def _quality(results: ImbalanceRows, model: str, other: str) -> Finding:
    """How often `model` is better than `other`."""
    pairs = _pairs(results, model, other, results.splits_of(model, other))
    parts = [Claim(metric, pairs).text("splits") for metric in (FID, PRECISION, RECALL)]
    return TEXTS.finding("quality", one=LOOKS[model].label, other=LOOKS[other].label, claims="; its ".join(parts))


def _long_tail(results: ImbalanceRows, name: str) -> Finding:
    """What is left of the rarest classes, against the balanced set."""
    few = frequency_groups(torch.tensor(results.training_counts(name)))["few"].tolist()
    measured = {label: results.run(model, name).values for label, model in results.shown(name).items()}
    labelled = [LOOKS[model].label for model in results.on(name) if model in WITH_LABELS]
    return TEXTS.finding(
        "long_tail",
        split=name,
        ratio=results.splits[name].ratio,
        count=len(few),
        trained=_part(results.training_share(name), few),
        seen=_seen(results, name, few),
        recalls=", ".join(f"{of} {v['recall_many']:.3f} and {v['recall_few']:.3f}" for of, v in measured.items()),
        sorted=f", those of {listing(labelled)} sorted by the label that they were drawn for" if labelled else "",
    )
