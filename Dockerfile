# Two stages: the first builds a wheel and installs it with the locked versions, and unpacks OHIF; the second runs it as
# a user without rights. `.ci/image-steps` runs the same install steps where no container engine is at hand.
FROM python:3.12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends npm && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml requirements.lock README.md LICENSE NOTICE ./
COPY service service
COPY dicom_nodes dicom_nodes
COPY config config
COPY viewer viewer
RUN python -m venv /opt/annogate \
    && /opt/annogate/bin/pip wheel --no-cache-dir --no-deps --wheel-dir /tmp/wheels . \
    && /opt/annogate/bin/pip install --no-cache-dir --constraint requirements.lock "$(echo /tmp/wheels/annogate-*.whl)[formats]" \
    && viewer/install

FROM python:3.12-slim
COPY --from=build /opt/annogate /opt/annogate
COPY --from=build /src/viewer/dist /opt/annogate/viewer
COPY --from=build /src/LICENSE /src/NOTICE /opt/annogate/
RUN useradd --system --uid 10001 --home-dir /var/lib/annogate --create-home annogate
USER annogate
WORKDIR /var/lib/annogate
ENV PATH=/opt/annogate/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ANNOGATE__STORAGE__DATA_DIR=/var/lib/annogate/data \
    ANNOGATE__HTTP__VIEWER_DIR=/opt/annogate/viewer
VOLUME /var/lib/annogate/data
EXPOSE 8080 11112
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health/ready', timeout=4)"]
# Other than loopback, so `annogate user add` or `annogate token add` comes first: a start without is refused.
ENTRYPOINT ["annogate"]
CMD ["serve", "--http", "0.0.0.0:8080", "--dicom", "0.0.0.0:11112"]
