# demo · test · check · bench: each sets itself up. Needs Python 3.11 to 3.13 and a package index, nothing else.
PYTHON ?= python3
RUN := .venv/bin/python

.PHONY: demo test test-parts test-waiting test-light test-engines test-deployments test-whole check format bench lock clean

demo: .venv/run.stamp
	$(RUN) example/demo.py

# Deployments wait much of their time: one after the other they leave half of the machine to what needs no time of its own.
test: .venv/dev.stamp
	$(MAKE) test-parts ASIDE="$(LIGHT)"
	$(MAKE) -j2 test-waiting test-light

PYTEST = $(RUN) -m pytest -c tests/pytest.ini --rootdir tests
# Deployments whose timing is measured while they serve: one after the other.
MEASURED = $(addprefix tests/e2e/test_,defects.py deployments.py live.py kill_matrix.py)
ALONE = tests/suite/test_headroom.py
# Their server's systemd mounts control groups, without which Docker tells no figures of other containers meanwhile.
RECIPES = $(addprefix tests/recipes/test_,systemd.py ansible.py)
ENGINES = $(wildcard $(addprefix tests/,everywhere examples hosts remote swarm))
LIGHT = $(addprefix tests/,approval ci database evidence notify redaction report suite unit)

# The rest, side by side. Without ASIDE: with what is light.
test-parts: .venv/dev.stamp
	$(PYTEST) tests $(patsubst %,--ignore %,$(MEASURED) $(ALONE) $(ENGINES) $(RECIPES) $(ASIDE)) -n 2 --dist loadfile --no-loadscope-reorder $(TESTS)

# Engines side by side, what shares a project or nodes one after the other; each waits for its engine now and then.
BY_ENGINE = $(PYTEST) $(ENGINES) -n 3 --dist loadgroup $(TESTS)

test-waiting: .venv/dev.stamp
	$(PYTEST) $(MEASURED) $(RECIPES) $(TESTS)
	$(BY_ENGINE)
	$(PYTEST) $(ALONE) $(TESTS)

test-light: .venv/dev.stamp
	nice -n 19 $(PYTEST) $(LIGHT) $(patsubst %,--ignore %,$(ALONE)) $(TESTS)

test-engines: .venv/dev.stamp
	$(BY_ENGINE)
	$(PYTEST) $(RECIPES) $(TESTS)

test-deployments: .venv/dev.stamp
	$(PYTEST) $(MEASURED) $(ALONE) $(TESTS)

# What no run has time for: the shop by its example environments, more of its defects, and the like.
test-whole: .venv/dev.stamp
	$(PYTEST) tests --whole -m whole $(TESTS)

check: .venv/dev.stamp
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	$(PYTEST) tests/house -q

format: .venv/dev.stamp
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

bench: .venv/dev.stamp
	$(RUN) benchmarks/all.py

# The lock files pin every package with its hashes. Made anew with: pip install uv && make lock
LOCK = uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
lock:
	$(LOCK) --extra embedded --extra scanners --extra store --extra docker pyproject.toml -o requirements.lock
	$(LOCK) --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/run.stamp: requirements.lock | .venv/bin/python
	@echo "Installing what requirements.lock pins (about 110 MB the first time) ..."
	$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

.venv/dev.stamp: requirements-dev.lock | .venv/bin/python
	@echo "Installing what requirements-dev.lock pins ..."
	$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch .venv/run.stamp $@

clean:
	rm -rf .venv build dist *.egg-info
