# Two commands matter: `make demo` and `make test`. Each sets up what it needs in .venv and viewer/dist.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
STUDY  ?=
# Tests run in parallel on the machine's cores; `make test WORKERS=0` runs them one by one.
WORKERS ?= auto
ROUNDS  ?= 5
# What reads and writes the index is tested on PostgreSQL as well; databases are emptied between tests, not made anew.
INDEX_TESTS := $(patsubst %,tests/unit/test_%.py,annotation_filing annotation_versions \
	archive_bulk_data archive_commitments archive_database \
	archive_instances archive_intake archive_matching archive_overview archive_quarantine_rows archive_runs \
	archive_search archive_shown_images archive_small_tables archive_study_dates audit_buffer audit_trail \
	auth_accounts cli_outbox cli_quarantine cli_search_attributes cli_trash crosswalk delivery_commitment index_copy \
	index_races ingest_pipeline ingest_quarantine jobs_completeness key_rotation outbox_tables patient_import \
	rejections run_workitems search_attributes study_cleaning study_lookup trash views way_back web_api_misfits \
	web_pulls worklist_desk worklist_subscriptions worklist_views) \
	tests/faults/test_fuzzed_dicomweb.py tests/integration/test_openapi.py
BENCH_STAMP := $(VENV)/.bench-installed
# `make bench BENCH="deid deid_pixels" IMAGES=DIR` runs some, and looks for text in the images of a folder as well.
BENCH   ?= archive_metadata deid deid_faces deid_frames deid_pixels dicomweb_store first_overlay formats ingest objects receive
IMAGES  ?=

# Where it is set, every process of every test would compile all that it imports anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint types unit fuzz viewer screenshot bench clean help

help:
	@echo "make demo [STUDY=DIR]  the main job end to end, then serves until Ctrl-C"
	@echo "make test              format check, lint, types, tests"
	@echo "make fuzz [ROUNDS=5]   property tests with new examples"
	@echo "make bench [BENCH=NAMES] [IMAGES=DIR]  what it costs, beside other tools (benchmarks/)"
	@echo "make viewer            unpack OHIF into viewer/dist (needs npm)"

$(STAMP): pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Annogate needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --constraint requirements.lock --editable '.[test]'
	touch $@

viewer/dist/index.html: viewer/VERSION viewer/install
	viewer/install
	touch $@

viewer: viewer/dist/index.html

# Without npm the gateway runs all the same and says at /viewer/ how to add the viewer.
.PHONY: viewer-if-possible
viewer-if-possible:
	@if command -v npm >/dev/null 2>&1; then $(MAKE) --no-print-directory viewer || echo "The viewer could not be fetched; the gateway runs without it." >&2; \
	else echo "npm is not here: the gateway runs without the viewer." >&2; fi

demo: $(STAMP) viewer-if-possible
	$(BIN)/annogate demo $(if $(STUDY),--study "$(STUDY)")

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy

unit: $(STAMP)
	$(BIN)/pytest tests/unit -q

test: lint types viewer-if-possible
	@if ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then ANNOGATE_TEST_INDEX=postgresql $(BIN)/pytest -q --hypothesis-profile=repeatable $(INDEX_TESTS); \
	else echo "PostgreSQL is not here: the index is tested on SQLite alone." >&2; fi
	$(BIN)/pytest -m "not bench" --hypothesis-profile=repeatable $(if $(filter-out 0,$(WORKERS)),-n $(WORKERS) --dist loadgroup --no-loadscope-reorder)

# The property tests with examples drawn anew, as often as asked for; what they find is kept in .hypothesis.
fuzz: $(STAMP)
	for round in $$(seq $(ROUNDS)); do $(BIN)/pytest -q -m hypothesis --hypothesis-profile=fuzz -n auto tests/unit || exit 1; done

# The picture that the README shows, taken anew by the browser test.
screenshot: $(STAMP) viewer
	ANNOGATE_SCREENSHOTS=docs/images $(BIN)/pytest -q tests/e2e/test_ohif.py

$(BENCH_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --no-compile --constraint requirements.lock --editable '.[test,bench]'
	touch $@

# What the documentation states was measured by these; each prints tables, and none is a test. Some need peers.
bench: $(BENCH_STAMP)
	for name in $(BENCH); do echo "== $$name"; $(BIN)/python -m benchmarks.$$name \
	$$([ $$name != deid_pixels ] || echo "$(IMAGES)") || exit 1; done

clean:
	rm -rf $(VENV) viewer/dist .mypy_cache .ruff_cache .pytest_cache
