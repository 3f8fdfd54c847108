"""Everything that measures Modescope itself: `python -m benchmarks.NAME`, from the repository's root.

`bench` (also `modescope bench`) compares our loops (`loops`) and the evaluation (`evaluation`) with plain ones
(`plain_*`) and measures how costs scale with size (`scaling`). `profile_loops` says where a step's time goes, `busy`
what other work on the machine costs, `monitoring` what live curves cost, `kills` whether killed commands change a
result, `gpu_check` runs on a GPU. `simulate` says what more workers would bring.
"""

import modescope.vision  # noqa: F401  (torchmetrics imports torchvision)
