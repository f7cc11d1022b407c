# make demo                  the whole loop on made-up scans, then the server
# make demo STUDIES=DIR      the same on your scans, of the task TASK=NAME-or-FILE
# make demo-ohif             annotating in the browser: a PACS with made-up scans, and OHIF on it
# make demo-ohif PACS=URL    the same with a DICOMweb server for tests that runs already
# make demo-ohif-add DICOM=DIR   your DICOM files into that PACS
# make test                  ruff, mypy and pytest
# make bench                 the benchmarks of the README
# make venv                  only the environment in .venv

PYTHON ?= $(shell command -v python3.11 || command -v python3)
ARGS ?=
READY := .venv/.ready

.PHONY: venv demo demo-ohif demo-ohif-add test bench
.DELETE_ON_ERROR:

venv: $(READY)

# The mark comes last, so that an interrupted installation starts again.
$(READY): requirements.txt
	rm -rf .venv
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "make: needs Python 3.11, set PYTHON=")'
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

test: $(READY)
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy
	.venv/bin/python -m pytest $(ARGS)

bench: $(READY)
	.venv/bin/python -m benchmarks.pattern_counting
	.venv/bin/python -m benchmarks.next_sample
	.venv/bin/calibrated-ensemble demo --no-serve
	.venv/bin/python -m benchmarks.heatmap_speed --workspace demo/studies/.calibrated_ensemble --images demo/studies
