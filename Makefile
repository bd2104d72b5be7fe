# What people and CI run. All Python packages are in a private virtual environment; nothing outside it is changed,
# except that targets which need Debian packages install them if they are missing and the caller is root.

# Any Python from 3.11 on, by name or path; only used when the environment is made.
PYTHON ?= python3
# Not taken from the environment, where a variable of this name may mean something else.
VENV := .venv

quietly := contrib/tools/quietly.sh
pip := $(quietly) $(VENV)/bin/python -m pip install --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help venv run test check check-style check-format check-types check-imports check-shell interop interop-packages bench clean
.PHONY: chaos soak fuzz fresh interop-versions upgrades pages deb lab lab-status lab-failover lab-down bench-lab bench-outage
# two pips at once would break the environment, and little else could run in parallel
.NOTPARALLEL:
.DELETE_ON_ERROR:

help: ## List the targets
	@echo "Targets (make TARGET):"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 19
	@echo "Variables: PYTHON=$(PYTHON) VENV=$(VENV)"

# --- The environment ---------------------------------------------------------------------------------------------
# One stamp for each set of dependencies, so that `make run` downloads no more than the package needs. The package is
# installed editable: a change to the sources needs no new installation, one to pyproject.toml does.

venv: $(VENV)/.stamp-run ## Make the virtual environment with the package in it

# A link to the interpreter: if that was removed, make takes the link for missing, and makes the environment again.
$(VENV)/bin/python:
	@contrib/tools/make-venv.sh "$(PYTHON)" "$(VENV)"

$(VENV)/.stamp-run: pyproject.toml | $(VENV)/bin/python
	@echo "Installing ctdb-eventd into $(VENV)"
	@$(pip) --editable .
	@touch $@

$(VENV)/.stamp-test: pyproject.toml | $(VENV)/bin/python
	@echo "Installing ctdb-eventd and what its tests need into $(VENV)"
	@$(pip) --editable '.[test]'
	@touch $@ $(VENV)/.stamp-run

$(VENV)/.stamp-dev: pyproject.toml | $(VENV)/bin/python
	@echo "Installing ctdb-eventd and its development tools into $(VENV)"
	@$(pip) --editable '.[dev]'
	@touch $@ $(VENV)/.stamp-test $(VENV)/.stamp-run

# --- Using it ----------------------------------------------------------------------------------------------------

run: $(VENV)/.stamp-run ## Show a whole node: its start, a dead service, addresses that move, its shutdown
	@$(VENV)/bin/python contrib/demo/run.py

# --- Checking it -------------------------------------------------------------------------------------------------

# An absolute path, because the daemons under test have other working directories. pytest fails without tests (its
# exit status 5), and so does make.
test: export COVERAGE_FILE := $(CURDIR)/.coverage
test: $(VENV)/.stamp-test ## Run the tests that need neither root nor CTDB, with coverage
	@$(VENV)/bin/coverage erase
	$(VENV)/bin/coverage run -m pytest -m 'not interop'
	@$(VENV)/bin/coverage combine --quiet
	$(VENV)/bin/coverage report --fail-under=95

# Separate targets, so that `make --keep-going check` shows all errors.
check: check-style check-format check-types check-imports check-shell ## Lint, check formatting, types, imports and shell scripts

check-style: $(VENV)/.stamp-dev
	$(VENV)/bin/ruff check .

check-format: $(VENV)/.stamp-dev
	$(VENV)/bin/ruff format --check .

check-types: $(VENV)/.stamp-dev
	$(VENV)/bin/mypy

check-imports: $(VENV)/.stamp-dev
	$(VENV)/bin/lint-imports

check-shell:
	contrib/tools/check-shell.sh contrib .ci

# INTEROP selects tests by arguments of pytest: files, directories, -k. Without it the packages for all tests are
# installed; a selected test says what it lacks.
interop_needs := ctdb iproute2 iptables ethtool python3
interop: export INTEROP_REQUIRED := yes
interop: $(VENV)/.stamp-test $(if $(INTEROP),,interop-packages) ## Run the tests against CTDB's own programs (Debian, root)
	@contrib/tools/need-packages.sh $(interop_needs)
	$(VENV)/bin/python -m pytest -m interop $(INTEROP)

interop-packages: ## Install the packages that all of these tests need (Debian, root)
	@contrib/tools/need-packages.sh $(interop_needs) samba smbclient chromium prometheus mandoc

# Each in a root file system of its own with an environment that is kept there, two at a time (JOBS).
VERSIONS := 4.17 4.22 4.24 4.25
interop-versions: ## Run these tests with each version of CTDB in use (Debian, root)
	@contrib/tools/side-by-side.sh 'contrib/tools/in-root.sh $$WORD make VENV=/opt/venv/interop interop \
		INTEROP="$(INTEROP)" IPTABLES_ROUNDS=$(IPTABLES_ROUNDS)' $(VERSIONS)

# Debian's oldest and newest Python in use, with only python3, git and make installed, as an ordinary user. One after
# the other, because each uses the whole machine.
FRESH := bookworm forky
fresh: ## Run `make run` and `make test` as a new user does, on fresh machines (Debian, root)
	@JOBS=1 contrib/tools/side-by-side.sh 'contrib/tools/try-fresh.sh $$WORD user' $(FRESH)

# From, to, and how our daemon is installed.
UPGRADES := "4.17 4.22 package" "4.22 4.24 package" "4.24 4.25 package" \
	"4.17 4.22 venv" "4.22 4.24 venv" "4.24 4.25 venv"
upgrades: ## Try upgrades of CTDB and Python by apt with ours in place (Debian, root)
	@contrib/tools/side-by-side.sh 'contrib/tools/try-upgrade.sh $$WORD' $(UPGRADES)

# SECONDS is the duration; the same SEED makes the same random choices.
chaos: SECONDS := 540
soak: SECONDS := 600
SEED := $(shell date +%s)
chaos: ## Kill, stop and restart a daemon under load, and check that nothing goes wrong
soak: ## Put a daemon under load, and check that it doesn't grow
chaos soak: $(VENV)/.stamp-test
	PYTHONPATH=tests/chaos:tests/support $(VENV)/bin/python -m eventd_chaos $@ --seconds $(SECONDS) --seed $(SEED)

bench: $(VENV)/.stamp-run ## Measure against CTDB's own daemon (Debian)
	@contrib/tools/need-packages.sh ctdb
	$(VENV)/bin/python -m benchmarks

# FUZZ_SEED, FUZZ_SECONDS and FUZZ_PACKETS: see docs/fuzzing.md.
fuzz: $(VENV)/.stamp-run ## Attack a daemon with mutated packets for five minutes
	@PYTHONPATH=tests/fuzz:tests/support $(VENV)/bin/python -m eventd_fuzz

# --- A cluster on this machine, see docs/lab.md ------------------------------------------------------------------

EVENTD ?= $(VENV)/bin/ctdb-eventd
# EVENTD=ctdb uses CTDB's own event daemon; NODES, ADDRESSES4 and ADDRESSES6 are numbers; LAB is the directory of its
# files; SAMBA=yes runs an smbd on each node.
# CTDB=4.25 (4.17, 4.22, 4.24) uses that version: the lab is in a root file system of its own then, with an environment
# that is kept there. The other lab targets work without CTDB.
LAB ?= /tmp/ctdb-lab
lab_packages := ctdb iproute2 iptables ethtool psmisc
samba_packages := samba smbclient
with_samba := $(filter yes,$(SAMBA))
ctdb_lab = PYTHONPATH=contrib/lab $(VENV)/bin/python -m ctdb_lab --directory "$(LAB)"
lab_options = --eventd "$(EVENTD)" $(if $(NODES),--nodes $(NODES)) \
	$(if $(ADDRESSES4),--addresses4 $(ADDRESSES4)) $(if $(ADDRESSES6),--addresses6 $(ADDRESSES6)) \
	$(if $(with_samba),--samba)

ifdef CTDB
lab:
	@contrib/tools/in-root.sh --lasting --bind "$(abspath $(dir $(abspath $(LAB))))" "$(CTDB)" \
		make VENV=/opt/venv/lab lab LAB="$(abspath $(LAB))" NODES="$(NODES)" \
		ADDRESSES4="$(ADDRESSES4)" ADDRESSES6="$(ADDRESSES6)" SAMBA="$(SAMBA)" $(if $(filter file,$(origin EVENTD)),,EVENTD="$(EVENTD)")
else
lab: $(VENV)/.stamp-run ## Bring up a cluster of real ctdbd nodes (Debian, root)
	@contrib/tools/need-packages.sh $(lab_packages) $(if $(with_samba),$(samba_packages))
	@$(ctdb_lab) up $(lab_options)
endif

lab-status: $(VENV)/.stamp-run ## Show which node hosts which address, and the state of each node
	@$(ctdb_lab) status

lab-failover: $(VENV)/.stamp-run ## Make a node fail and return in every way, with times
	@$(ctdb_lab) failover

lab-down: $(VENV)/.stamp-run ## End the cluster and remove everything of it
	@$(ctdb_lab) down

bench-lab: $(VENV)/.stamp-run ## Measure failovers on that cluster against CTDB's own daemon (Debian, root)
	@contrib/tools/need-packages.sh $(lab_packages)
	$(VENV)/bin/python -m benchmarks.lab $(BENCH_LAB_OPTIONS)

bench-outage: $(VENV)/.stamp-run ## Measure on it how long clients of Samba can't write (Debian, root)
	@contrib/tools/need-packages.sh $(lab_packages) $(samba_packages)
	$(VENV)/bin/python -m benchmarks.outage $(BENCH_OUTAGE_OPTIONS)

# --- Installing it, see docs/installation.md ---------------------------------------------------------------------

pages: $(VENV)/.stamp-run ## Generate man pages and the commands in docs/cli.md
	@$(VENV)/bin/python contrib/tools/generate.py

deb: $(VENV)/.stamp-run ## Build the Debian package into dist/ (Debian, Ubuntu)
	@contrib/debian/build.sh $(VENV)/bin/python dist

# The condition guards against a wrong VENV: only a virtual environment is removed.
clean: ## Remove the environment and all generated files
	@if [ -e "$(VENV)/pyvenv.cfg" ]; then rm -rf "$(VENV)"; fi
	rm -rf build dist .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -path ./.git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
