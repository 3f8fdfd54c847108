"""Where a training step's time goes: our loops under torch's profiler, in parts.

python -m benchmarks.profile_loops imbalance-gan cgan-bce
"""

import re
import sys
import time

from torch.profiler import ProfilerActivity, profile

from benchmarks.loops import all_loops
from modescope.training.device import arithmetic, training_device

STEPS = 8
PARTS = {  # the first that an operation's name matches
    "convolutions, matrix products": r"convolution|conv|mkldnn|addmm|aten::mm|aten::bmm|gemm|cutlass|cudnn::|einsum",
    "normalisation": r"batch_norm|layer_norm|norm",
    "optimiser, averages": r"fused_adam|lerp|foreach",
    "noise, dropout masks": r"random|normal_|bernoulli|randn|randint|dropout",
    "copies, casts, layout": r"copy|_to_copy|contiguous|cat|clone|pad|as_strided|index|empty|zero|fill",
    "elementwise, sums": r".",
}


def parts(run) -> tuple[dict[str, float], float]:
    """Shares of a step's wall time by part, the rest being what no operation accounts for; and its milliseconds."""
    device = training_device()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
    run(4)
    began = time.perf_counter()
    run(STEPS)
    wall = time.perf_counter() - began
    began = time.perf_counter()
    with profile(activities=activities) as record:
        run(STEPS)
    profiled = time.perf_counter() - began
    shares = dict.fromkeys(PARTS, 0.0)
    for event in record.key_averages():
        spent = event.self_device_time_total if device.type == "cuda" else event.self_cpu_time_total
        name = next(name for name, pattern in PARTS.items() if re.search(pattern, event.key))
        shares[name] += spent / 1e6 / profiled
    return {**shares, "Python and what lies between": 1 - sum(shares.values())}, 1000 * wall / STEPS


def main(names: list[str]) -> None:
    device = training_device()
    loops = [loop for loop in all_loops(device) if not names or loop.name in names]
    print("| loop | ms a step | " + " | ".join([*PARTS, "Python and what lies between"]) + " |")
    print("|---|---" + "|---" * (len(PARTS) + 1) + "|")
    with arithmetic(device.type, "bf16", deterministic=False):
        for loop in loops:
            shares, milliseconds = parts(loop.ours())
            print(
                f"| {loop.name} | {milliseconds:.0f} | "
                + " | ".join(f"{share:.0%}" for share in shares.values())
                + " |",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
