"""The studies by name: the question that stands over a study's page, over its runs and over its models in MLflow."""

STUDIES = {
    "imbalance": "GAN against VAE under class imbalance",
    "two-stage": "mixture prior and a classifier's guidance",
    "cgan": "conditional GANs and their losses",
    "classifiers": "guides and judges",
}
