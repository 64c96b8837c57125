# `docker build .` is for the CPU; `--build-arg DEVICE=cuda` is for NVIDIA GPUs. See docs/deploy.md.
ARG DEVICE=cpu

# The dependencies in pyproject.toml. While they do not change, the layer with them stays in the cache.
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
# Package index for torch; empty means pip's own, whose builds have CUDA.
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
        cpu-cuda) echo "WARNING: this build of torch has CUDA $cuda, which adds gigabytes that a CPU does not need." \
            "Use an index with CPU builds: --build-arg TORCH_INDEX=URL" >&2 ;; \
        cuda-) echo "ERROR: this build of torch has no CUDA. Use an index with CUDA builds: --build-arg TORCH_INDEX=URL" >&2; exit 1 ;; \
        *) echo "ERROR: DEVICE is cpu or cuda, not $DEVICE" >&2; exit 1 ;; \
    esac
COPY --from=requirements requirements.txt .
RUN pip --python /opt/venv/bin/python install -r requirements.txt \
    && /opt/venv/bin/python -c "import torch"

# The compiler stays in this stage.
FROM python:3.11-slim AS app
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
RUN python -m venv --without-pip /opt/venv
WORKDIR /src
COPY pyproject.toml setup.py README.md ./
COPY app app
COPY unroll unroll
COPY clients clients
RUN pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --prefix /opt/app . \
    && ls /opt/app/lib/python3.11/site-packages/app/models/serving/native/_kernels*.so

# Files of a checkout may be readable by their owner only.
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
# The published port decides who can reach a container. With keys (docs/access.md) UNROLL_OPEN has no effect.
# The NVIDIA_ variables are for NVIDIA's container runtime.
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
