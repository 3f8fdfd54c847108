"""Draws from a mixture of Gaussians, one sample after the other, as the report's own code does it."""

import numpy as np


class PlainMixture:
    """`run(n)` draws n batches of 128 samples in 100 dimensions."""

    def __init__(self, means: np.ndarray, variance: float, batch_size: int = 128):
        self.means, self.covariance, self.batch_size = means, variance * np.eye(means.shape[1]), batch_size

    def run(self, steps: int) -> None:
        for _ in range(steps):
            labels = np.random.randint(len(self.means), size=self.batch_size)
            self.z = np.stack([np.random.multivariate_normal(self.means[label], self.covariance) for label in labels])
