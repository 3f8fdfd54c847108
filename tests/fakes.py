"""Stand-ins that several tests use."""


class ListLog:
    """Collects what the loop logs; can die at a step."""

    def __init__(self, dies_at=None):
        self.rows, self.images, self.dies_at = [], [], dies_at

    def log(self, metrics, step):
        self.rows.append((step, metrics))
        if step == self.dies_at:
            raise KeyboardInterrupt

    def image(self, name, image, step):
        self.images.append((name, step, tuple(image.shape)))

    def rewind(self, step):
        self.rows = [row for row in self.rows if row[0] <= step]
