"""The page of a generator, inside: sliders for z, paths between two z and between two labels."""

from pathlib import Path

from modescope.browser.networks import Packed
from modescope.browser.page import Facts, profile_of, run_facts
from modescope.browser.page import to_html as page_html
from modescope.config.studies import STUDIES
from modescope.evaluation.samplers import Sampler
from modescope.explore.directions import principal_directions
from modescope.training.priors import MixturePrior

TEMPLATE = Path(__file__).with_name("explore.html.j2")
DIRECTIONS = 6


def to_html(sampler: Sampler, info: Facts) -> str:
    """The page as HTML, of a run's sampler and its run.json: equal bytes for equal networks.

    Raises UserError for a run that is no generator, or one that no page can run.
    """
    packed, known = Packed(), [] if sampler.num_classes is None else sampler.prior.known_labels().tolist()
    layers = packed.generator(sampler, info["run"])
    directions, shares = principal_directions(sampler.generator, DIRECTIONS)
    facts = {
        "data": info["data"]["name"],
        "classes": [{"label": label, "name": info["data"]["classes"][label]} for label in known],
        "mixed": "means of the mixture" if isinstance(sampler.prior, MixturePrior) else "labels' embeddings",
        "side": sampler.sample(1, seed=0).images.shape[-1],
        "latent": sampler.generator.latent_dim,
        "layers": layers,
        "directions": [[round(value, 5) for value in each] for each in directions.tolist()],
        "shares": shares.tolist(),
        "study": STUDIES[info["study"]],
        "generator": run_facts(info),
        "profile": profile_of(info),
    }
    return page_html(TEMPLATE, packed, facts)
