# Two images from one file: `sidecar` is the product (sidecars and verifiers run from it), `demo` has the example agents
# on top. `collector` and `tempo` are the projects' own images and one static program: they ship no shell and nothing
# that could ask them for their health.

FROM python:3.11.14-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY sidecar sidecar
COPY verifiers verifiers
COPY specs specs
# /opt/sidecar/specs is the pack that the wheel carries, under a name that no Python version is part of.
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv /opt/sidecar \
    && /opt/sidecar/bin/pip install '.[verifiers]' \
    && ln -s "$(/opt/sidecar/bin/sidecar spec shipped)" /opt/sidecar/specs

FROM build AS build-demo
RUN --mount=type=cache,target=/root/.cache/pip /opt/sidecar/bin/pip install '.[demo]'

FROM python:3.11.14-slim-bookworm AS base
# The folders belong to the user before a volume is mounted there: a new named volume takes its owner from them.
RUN groupadd --gid 10001 sidecar \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin sidecar \
    && install -d -o sidecar -g sidecar -m 0750 /var/lib/sidecar /var/lib/sidecar-keys
ENV PATH=/opt/sidecar/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /var/lib/sidecar

FROM base AS sidecar
COPY --from=build /opt/sidecar /opt/sidecar
# 50051: calls. 9464: /metrics, /healthz, /readyz, where the configuration says `metrics: {listen: 0.0.0.0:9464}`.
EXPOSE 50051 9464
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-m", "sidecar.health", "http://127.0.0.1:9464/readyz"]
ENTRYPOINT ["sidecar"]
CMD ["run", "--config", "/etc/sidecar/sidecar.yaml"]

FROM base AS demo
COPY --from=build-demo /opt/sidecar /opt/sidecar
COPY examples /opt/demo/examples
WORKDIR /opt/demo
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-m", "sidecar.health", "tcp://127.0.0.1:50051"]
ENTRYPOINT ["python", "-m"]
CMD ["examples.agents.researcher", "--listen", "0.0.0.0:50051"]

FROM busybox:1.37.0-musl AS probe
RUN mkdir -p /var/tempo

FROM otel/opentelemetry-collector:0.159.0 AS collector
COPY --from=probe /bin/busybox /usr/local/bin/wget
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
    CMD ["/usr/local/bin/wget", "-q", "-O", "/dev/null", "http://127.0.0.1:13133/"]

FROM grafana/tempo:2.10.8 AS tempo
COPY --from=probe /bin/busybox /usr/local/bin/wget
COPY --from=probe --chown=10001:10001 /var/tempo /var/tempo
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/wget", "-q", "-O", "/dev/null", "http://127.0.0.1:3200/ready"]
