"""Iterations one after another: as they come, or, on CUDA, recorded once and replayed.

A small network's iteration is a thousand kernels, many of them shorter than their launch. A CUDA graph launches all of
them at once, but it
repeats exactly what was recorded: batches are gathered by rows that are copied into place beforehand, noise comes from
    the device's generator,
which a replay moves on, learning rates and sums of losses are tensors
(https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs).
"""

from collections.abc import Callable
from typing import Protocol

import torch

from modescope.training.iteration import Meter, Training, iterate, rows_of

WARM_UP = (
    3  # iterations before the recording, in which libraries choose their algorithms and optimisers make their state
)
Run = Callable[[], None]


class Recorder(Protocol):
    """How work on a device is done once, and how it is recorded without being done."""

    def once(self, run: Run) -> None: ...

    def record(self, run: Run) -> Run: ...


class CudaGraphs:
    """Records with CUDA graphs; warms up on the stream that records, as PyTorch asks."""

    def __init__(self) -> None:
        self.stream = torch.cuda.Stream()

    def once(self, run: Run) -> None:
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            run()
        torch.cuda.current_stream().wait_stream(self.stream)

    def record(self, run: Run) -> Run:
        """`run` itself, with a line that says why, where a graph cannot hold it."""
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=self.stream):
                run()
        except RuntimeError as error:
            print(
                f"no CUDA graph of the iteration, every operation is launched on its own: {str(error).splitlines()[0]}",
                flush=True,
            )
            return run
        return graph.replay


def iterations(training: Training, meter: Meter, precision: str) -> Callable[[int], None]:
    """`run(step)` does the 0-based iteration `step` and adds its losses to `meter`; replayed on CUDA where the
    objective allows it.
    """
    if training.device.type == "cuda" and training.objective.replayable:
        return replayed(training, meter, precision, CudaGraphs())
    return as_they_come(training, meter, precision)


def as_they_come(training: Training, meter: Meter, precision: str) -> Callable[[int], None]:
    """As `iterations`: every operation is launched on its own."""
    return lambda step: meter.add(iterate(training, rows_of(training, step), precision))


def replayed(training: Training, meter: Meter, precision: str, recorder: Recorder) -> Callable[[int], None]:
    """As `iterations`: the first few as they come, the others as replays of one recording."""
    rows = torch.stack(rows_of(training, 0))  # (updates of an iteration, batch size); what a replay reads
    runs, replay = 0, None

    def iteration() -> None:
        meter.add(iterate(training, rows, precision))

    def run(step: int) -> None:
        nonlocal runs, replay
        torch.stack(rows_of(training, step), out=rows)
        if runs < WARM_UP:
            recorder.once(iteration)
        else:
            replay = replay or recorder.record(iteration)
            replay()
        runs += 1

    return run
