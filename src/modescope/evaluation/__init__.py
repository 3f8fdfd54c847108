import modescope.vision  # noqa: F401  (torchmetrics imports torchvision)
