# Everything runs in .venv, which is made when it is missing.

PYTHON ?= python3
BIN := .venv/bin
# Two processes; tests/conftest.py hands out whole files, the slow ones first.
PYTEST := $(BIN)/pytest -n 2

.PHONY: demo test check faults format clean

demo: .venv/installed
	$(BIN)/chromasonic search --n-trials 14 --epochs 12 --n-sequences 500 --seed 1 \
	  --space examples/quick_lstm.toml --output-dir demo_results --plot
	@cat demo_results/best_hyperparameters.json
	$(BIN)/chromasonic train --from demo_results --top 3 --repeats 3
	$(BIN)/chromasonic generate demo_results/final_model -n 4 --output-dir demo_results/melodies

# Of two processes, with what they start, more threads would get into each other's way.
test check faults: export OMP_NUM_THREADS ?= 1

test: .venv/installed-dev
	$(PYTEST) -m "not slow"

check: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST)
	$(BIN)/sphinx-build --quiet --fail-on-warning --fresh-env docs docs/_build

# Three hundred faults at random moments; what was injected is written down.
faults: .venv/installed-dev
	$(PYTEST) tests/faults --injections 300 -q --faults-log tests/faults/log.txt

format: .venv/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv docs/_build demo_results .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/pip install --quiet --editable ".[melody,report]"
	touch $@

.venv/installed-dev: .venv/installed pyproject.toml
	$(BIN)/pip install --quiet --group dev
# Not in the group: what it depends on, PyAudio, is for live playing and must be compiled.
	$(BIN)/pip install --quiet --no-deps "tinysoundfont>=0.3"
	touch $@
