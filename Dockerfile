# Renew or pin it by digest with --build-arg BASE=…@sha256:…; with its registry, since podman and buildah take no short name.
ARG BASE=docker.io/library/python:3.13-slim-bookworm

FROM ${BASE} AS build
# The base's pip installs into a venv that has none, so none is copied into the image.
RUN python -m venv --without-pip /venv
COPY requirements/image.txt /tmp/
# Wheels only: the base has no compiler, and a source archive would run its own code here.
# Bytecode is made at build, for nothing can be written at run; unchecked, so that files' times do not matter.
# A company's own index and CA come as secrets, which no layer keeps: docs/container.md.
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.pem \
    if [ -e /run/secrets/ca.pem ]; then export PIP_CERT=/run/secrets/ca.pem; fi \
    && pip --python /venv/bin/python install --no-cache-dir --no-compile --only-binary :all: \
        --require-hashes --requirement /tmp/image.txt \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /venv
COPY LICENSE /app/
COPY callrequest /app/callrequest
COPY sandbox /app/sandbox
COPY server /app/server
# chmod: a clone made under a strict umask must be readable to the image's user too.
RUN python -m compileall -q --invalidation-mode unchecked-hash /app && chmod -R a+rX,go-w /app

FROM ${BASE}
# The official image has no bytecode of the standard library: without it every start and every probe compiles anew.
RUN pip uninstall --yes --root-user-action ignore pip \
    && rm -rf /usr/local/bin/pip /usr/local/lib/python3.*/ensurepip \
    && python -m compileall -q -f -j 0 --invalidation-mode unchecked-hash /usr/local/lib/python3.*
COPY --from=build /venv /venv
COPY --from=build /app /app
# PYTHONPATH, for the working directory may be changed by who runs it. Neither plaintext nor a certificate is set:
# that decision is the operator's, see docs/container.md.
ENV PATH=/venv/bin:${PATH} \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    GATEWAY_LISTEN=0.0.0.0:50051 \
    GATEWAY_METRICS_LISTEN=0.0.0.0:9464 \
    GATEWAY_LOG_FORMAT=json
WORKDIR /app
# A number: Kubernetes' runAsNonRoot refuses a name.
USER 65532:65532
EXPOSE 50051 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD ["python", "-m", "server", "healthcheck"]
# The kernel drops signals that the first process of a container neither blocks nor handles, and Python starts for some
# 25 ms before it can do either: a SIGTERM in that time would be lost. Blocked, it waits.
ENTRYPOINT ["env", "--block-signal=TERM,INT,QUIT,HUP", "python", "-m", "server"]
CMD ["serve"]
# Last, so that a new revision makes no layer anew.
ARG BASE
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="call-request-gateway" \
      org.opencontainers.image.description="A gRPC gateway to DerbySoft's AI Voice call requests: typed results, safe cancellations." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"
