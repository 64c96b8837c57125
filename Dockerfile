# `docker build .` is for the CPU; `--build-arg DEVICE=cuda` is for NVIDIA GPUs. docs/deploy.md says more.
ARG DEVICE=cpu

# What has to be installed, as pyproject.toml names it: while that stays the same, so does the layer with all of it.
FROM python:3.11-slim AS requirements
ARG EXTRAS="otel redis"
COPY pyproject.toml .
RUN python -c "import sys, tomllib; \
project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
wanted = project['dependencies'] + [item for extra in sys.argv[1:] for item in project['optional-dependencies'][extra]]; \
torch = [item for item in wanted if item.startswith('torch')]; \
print(*torch, sep='\n', file=open('torch.txt', 'w')); \
print(*wanted, sep='\n', file=open('requirements.txt', 'w'))" $EXTRAS

FROM python:3.11-slim AS dependencies
ARG DEVICE
# The index to take torch from; empty is pip's own, whose build for x86-64 comes with CUDA.
ARG TORCH_INDEX=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv --without-pip /opt/venv
COPY --from=requirements torch.txt .
RUN pip --python /opt/venv/bin/python install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} -r torch.txt \
    && cd /opt/venv/lib/python3.11/site-packages/torch && rm -rf include test \
    && find bin -type f ! -name torch_shm_manager -delete \
    && cuda=$(sed -n "s/^cuda.*= *'\([0-9.]*\)'.*/\1/p" version.py) \
    && case "$DEVICE-${cuda:+cuda}" in \
        cpu- | cuda-cuda) ;; \
        cpu-cuda) echo "WARNING: this build of torch has CUDA $cuda, and the image gigabytes that a CPU does not need." \
            "Name an index with builds for the CPU: --build-arg TORCH_INDEX=URL" >&2 ;; \
        cuda-) echo "ERROR: this build of torch has no CUDA. Name an index with one: --build-arg TORCH_INDEX=URL" >&2; exit 1 ;; \
        *) echo "ERROR: DEVICE is cpu or cuda, not $DEVICE" >&2; exit 1 ;; \
    esac
COPY --from=requirements requirements.txt .
RUN pip --python /opt/venv/bin/python install -r requirements.txt \
    && /opt/venv/bin/python -c "import torch"

# The compiler stays here.
FROM python:3.11-slim AS app
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
RUN python -m venv --without-pip /opt/venv
WORKDIR /src
COPY pyproject.toml setup.py README.md ./
COPY app app
COPY clients clients
RUN pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --prefix /opt/app . \
    && ls /opt/app/lib/python3.11/site-packages/app/models/serving/native/_kernels*.so

# A checkout may be readable by its owner alone.
FROM python:3.11-slim AS store
COPY model_store /model_store
RUN chmod -R a+rX /model_store

FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends tini && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    && groupadd --system --gid 10001 unroll \
    && useradd --system --uid 10001 --gid unroll --no-create-home --home-dir /var/cache/unroll unroll \
    && install -d -o unroll -g unroll /var/cache/unroll
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=store /model_store /srv/model_store
COPY --from=app /opt/app /opt/venv
WORKDIR /srv
# Who reaches a container is decided by what of it is published; with keys (docs/access.md) UNROLL_OPEN changes nothing.
# The NVIDIA_ ones are heeded by NVIDIA's container runtime alone.
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    UNROLL_HOST=0.0.0.0 UNROLL_OPEN=true UNROLL_STORE=/srv/model_store UNROLL_STORE_CACHE=/var/cache/unroll
USER unroll
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-ISc", "import http.client, os, sys; \
c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('UNROLL_PORT') or 8000), timeout=2); \
c.request('GET', '/readyz'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["tini", "--"]
CMD ["unroll", "serve"]
ARG DEVICE
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="Unroll" \
    org.opencontainers.image.description="Serves trained recurrent networks over REST, batched step by step ($DEVICE)" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION" \
    org.opencontainers.image.created="$CREATED" \
    org.opencontainers.image.base.name="python:3.11-slim"
