# CPU image: dependencies in a layer of their own, then the code, then the models.
FROM python:3.11-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
RUN pip install --no-cache-dir "torch>=2.11,<2.14"
WORKDIR /src
COPY pyproject.toml ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > dependencies.txt \
    && pip install --no-cache-dir -r dependencies.txt
COPY README.md setup.py ./
COPY app app
RUN pip install --no-cache-dir --no-deps .

FROM python:3.11-slim
RUN useradd --system --uid 10001 unroll
COPY --from=build /opt/venv /opt/venv
WORKDIR /srv
COPY model_store model_store
# Who reaches a container is decided by what of it is published; with keys (docs/access.md) UNROLL_OPEN changes nothing.
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 UNROLL_HOST=0.0.0.0 UNROLL_OPEN=true
USER unroll
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
CMD ["unroll", "serve"]
