"""The share of a search's time that is not training.

    python benchmarks/overhead/run.py demo_results/optimization_results.json

The search's time is that of all its runs, without the start of Python and the import of PyTorch;
training is the sum of the epochs' times, validation included.
"""

import json
import sys
from pathlib import Path

results = json.loads(Path(sys.argv[1]).read_text())
training_s = sum(trial["training_time"] for trial in results["trial_results"])
total_s = results["total_time"]
print(f"{total_s:.1f} s in all, {training_s:.1f} s of it training: ", end="")
print(f"{1 - training_s / total_s:.2%} overhead in {results['n_trials']} trials")
