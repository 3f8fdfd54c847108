"""`params.yaml` as frozen, validated sections. Every number that changes a result stands there; nothing has a default
here.
"""

from modescope.config.cgan import CganConfig
from modescope.config.imbalance import Gan, ResidualGan, Vae
from modescope.config.params import (
    PARAMS,
    PROFILES,
    STANDARD,
    Params,
    load_params,
    merge,
    parse_params,
    profile_name,
    profile_names,
    profile_values,
    results_folder,
)
from modescope.config.reading import parse_yaml, read_yaml
from modescope.config.sections import Classifier, Evaluation, OwnImages
from modescope.config.two_stage import GANConfig, Stage1Config

__all__ = [
    "PARAMS",
    "PROFILES",
    "STANDARD",
    "CganConfig",
    "Classifier",
    "Evaluation",
    "GANConfig",
    "Gan",
    "OwnImages",
    "Params",
    "ResidualGan",
    "Stage1Config",
    "Vae",
    "load_params",
    "merge",
    "parse_params",
    "parse_yaml",
    "profile_name",
    "profile_names",
    "profile_values",
    "read_yaml",
    "results_folder",
]
