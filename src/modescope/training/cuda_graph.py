"""An iteration as a CUDA graph: recorded once, then replayed.

A small network's iteration is a thousand kernels, many of them shorter than their launch. A CUDA graph launches all of
them at once, but it repeats exactly what was recorded: batches are gathered by rows that are copied into place
beforehand, noise comes from the device's generator, which a replay moves on, learning rates and sums of losses are
tensors (https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs).
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

WARM_UP = 3  # iterations before the recording: libraries choose their algorithms, optimisers make their state
Run = Callable[[], None]


class Recorder(Protocol):
    """How work on a device is done once, and how it is recorded without being done."""

    def once(self, run: Run) -> None: ...

    def record(self, run: Run) -> Run: ...


class CudaRecorder:
    """Records CUDA graphs; warms up on the stream that records, as PyTorch asks."""

    def __init__(self) -> None:
        self.stream = torch.cuda.Stream()

    def once(self, run: Run) -> None:
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            run()
        torch.cuda.current_stream().wait_stream(self.stream)

    def record(self, run: Run) -> Run:
        """The graph's replay; `run` itself, with a line that says why, where a graph cannot hold it."""
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=self.stream):
                run()
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            print(f"no CUDA graph of the iteration, every operation is launched on its own: {reason}", flush=True)
            return run
        return graph.replay


class Graphed:
    """`iteration(rows)` as a graph: the first few calls run it, the later ones replay a recording of it.

    Args:
        iteration: leaves its results in tensors that stay where they are: weights, optimisers' states, sums.
    """

    def __init__(self, iteration: Callable[[Tensor], None], recorder: Recorder | None = None):
        self.iteration, self.recorder = iteration, recorder or CudaRecorder()
        self.calls, self.rows, self.replay = 0, None, None

    def __call__(self, rows: Tensor) -> None:
        """rows: (updates, B) int64, of the same shape at every call."""
        self.rows = rows.clone() if self.rows is None else self.rows.copy_(rows)  # what a replay reads
        if self.calls < WARM_UP:
            self.recorder.once(self._run)
        else:
            self.replay = self.replay or self.recorder.record(self._run)
            self.replay()
        self.calls += 1

    def _run(self) -> None:
        self.iteration(self.rows)
