# The same words people and CI use. On a fresh machine `make benchmark` and `make test` need Python 3.11+, make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: benchmark test test-lowest lint coverage mutants leaderboard calibrate agree chaos soak fuzz clean

benchmark: $(VENV)/run
	$(BIN)/python run_benchmark.py --methods ms,xbm,nca --dataset glyphs --protocol quick --force --log-models

test: $(VENV)/dev
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

# The lowest versions that pyproject.toml allows. Newer parts under them warn of them: that is not ours to mend.
test-lowest: $(VENV)/dev
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VENV)/lowest
	$(BIN)/uv pip install --quiet --python $(VENV)/lowest/bin/python --resolution lowest-direct -e '.[dev]'
	$(VENV)/lowest/bin/python -m pytest -n auto --dist loadfile --no-loadscope-reorder -W default

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Branches of `harness` that the tests go through, in the commands and workers that they start too.
coverage: $(VENV)/dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# Small faults in the code, one at a time, and whether the tests notice; goes on where it was interrupted.
mutants: $(VENV)/dev
	$(BIN)/python -m tests.mutants

leaderboard: $(VENV)/run
	$(BIN)/python run_benchmark.py leaderboard

# The statistics' error rates by simulation, in full (their short forms are in the tests), and a method against itself.
calibrate: $(VENV)/dev
	$(BIN)/pytest tests/calibration.py tests/a_a.py -s

# Trainings here beside the same ones written with pytorch-metric-learning alone: scores, and ratios of time.
agree: $(VENV)/dev
	$(BIN)/pytest tests/agree.py -s

# Campaigns killed, starved and damaged at random moments (its short form is in the tests); about an hour on two cores.
chaos: $(VENV)/dev
	$(BIN)/pytest tests/chaos.py -s

# 2,000 small cells: memory and open files must stay flat; about ten minutes on two cores.
soak: $(VENV)/dev
	$(BIN)/pytest tests/soak.py -s

# Every reader is given damaged files, for SECONDS_EACH; a bit over ten minutes on one core.
fuzz: $(VENV)/dev
	$(BIN)/pytest tests/fuzz.py -s

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is %d.%d: make PYTHON=python3.12" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/run: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install -e .
	touch $@

$(VENV)/dev: $(VENV)/run
	$(BIN)/python -m pip install -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) results/.work
