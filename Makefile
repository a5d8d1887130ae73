# Everything runs in .venv, which the first target that needs it makes. Only python3, git and make are required.

PYTHON ?= python3
JOBS ?= 2
MINUTES ?= 5
# the address below which the files of the repository are, for the site; nothing: they are pages of it
TREE ?=
# what an extra pins too: installed first, so that nothing else chooses another build of it
TORCH := torch==2.13.0

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help demo test fuzz check update proofs grammar docs playground site bench wheel clean

help:
	@echo 'make demo     compile the first example, build it and check it'
	@echo 'make test     run all tests (JOBS=2)'
	@echo 'make fuzz     break the compiler with mutants of specs (MINUTES=5)'
	@echo 'make check    ruff, mypy and the import rule'
	@echo 'make update   rewrite the goldens and the snapshots of the cases, and make the proofs that are missing'
	@echo 'make proofs   make every proof anew, of all nets of the zoo'
	@echo 'make grammar  rebuild the parse tables after a change of grammar/net.lark'
	@echo 'make docs     rewrite docs/rules.md, ops.md, api.md, claims.md and specs/README.md from what they are about'
	@echo 'make playground'
	@echo '              build the page for the browser in playground/dist, which needs node and npm'
	@echo 'make site     build the documentation site in build/site, with the playground if that is built'
	@echo 'make bench    run the benchmarks'
	@echo 'make wheel    build dist/'
	@echo 'make clean    remove all that make has made'

# a stamp says that a set of requirements is installed; it is renewed when pyproject.toml changes
$(VENV)/venv.stamp:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/torch.stamp: | $(VENV)/venv.stamp
	$(PIP) install $(TORCH)
	touch $@

$(VENV)/demo.stamp: $(VENV)/torch.stamp pyproject.toml
	$(PIP) install -e '.[torch]'
	touch $@

$(VENV)/test.stamp: $(VENV)/torch.stamp pyproject.toml
	$(PIP) install -e '.[test]'
	touch $@

$(VENV)/site.stamp: pyproject.toml | $(VENV)/venv.stamp
	$(PIP) install -e '.[site]'
	touch $@

$(VENV)/bench.stamp: $(VENV)/test.stamp
	$(PIP) install -e '.[bench]'
	touch $@

demo: $(VENV)/demo.stamp
	$(BIN)/python examples/demo.py

test: $(VENV)/test.stamp
	$(BIN)/python -m pytest -n $(JOBS)

fuzz: $(VENV)/test.stamp
	$(BIN)/python tests/fuzz.py --minutes $(MINUTES) --out build/fuzz

check: $(VENV)/test.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_imports.py

update: $(VENV)/test.stamp
	NETDSL_UPDATE=1 $(BIN)/python -m pytest -q -k 'golden or case or test_pages'
	NETDSL_UPDATE=1 $(BIN)/python -m pytest -q -n $(JOBS) -m proof

proofs: $(VENV)/test.stamp
	rm -f tests/golden/proved/*
	NETDSL_UPDATE=every $(BIN)/python -m pytest -q -n $(JOBS) -m proof

grammar: $(VENV)/test.stamp
	$(BIN)/python -m netdsl.syntax.tables

docs: $(VENV)/test.stamp
	$(BIN)/python -m netdsl.lint.docs > docs/rules.md.new
	mv docs/rules.md.new docs/rules.md
	$(BIN)/python tests/ops_page.py > docs/ops.md.new
	mv docs/ops.md.new docs/ops.md
	$(BIN)/python tests/api_page.py > docs/api.md.new
	mv docs/api.md.new docs/api.md
	$(BIN)/python tests/zoo_readme.py > specs/README.md.new
	mv specs/README.md.new specs/README.md
	$(BIN)/python tests/claims.py > docs/claims.md.new
	mv docs/claims.md.new docs/claims.md

site: $(VENV)/site.stamp
	$(BIN)/python tests/site_pages.py build/pages --tree '$(TREE)'
	$(BIN)/python -m sphinx -W --keep-going -q -j auto -c docs build/pages build/site
	@echo build/site/index.html

bench: $(VENV)/bench.stamp
	set -e; for script in $(filter-out benchmarks/reference.py benchmarks/search.py benchmarks/peers.py benchmarks/lift.py benchmarks/lift_onnx.py,$(wildcard benchmarks/*.py)); do $(BIN)/python $$script; done

playground/node_modules: playground/package-lock.json
	cd playground && npm ci --ignore-scripts
	touch $@

playground: $(VENV)/test.stamp playground/node_modules
	node playground/build.mjs --python $(BIN)/python

wheel: $(VENV)/test.stamp
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) build dist playground/dist playground/node_modules tests/editors/node_modules \
		editors/vscode/dist editors/vscode/node_modules editors/vscode/netdsl.vsix .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
