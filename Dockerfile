# Both images of the project: `--target registry` and `--target operator`; `make images` builds them.
# The wheels come from build/wheels, which `make images` fills by the hashes in requirements/, so the
# build itself needs no network. BASE_IMAGE is any Debian-like image with Python 3.13.
ARG BASE_IMAGE=python:3.13-slim-trixie

FROM ${BASE_IMAGE} AS tools
WORKDIR /build
COPY requirements/build.txt requirements/
COPY build/wheels/build wheels/build
# pip runs from its own wheel: not every base image brings it
RUN PYTHONPATH=$(echo wheels/build/pip-*.whl) python3 -m pip install --quiet --no-index \
    --find-links wheels/build --require-hashes --target /tools -r requirements/build.txt
ENV PYTHONPATH=/tools PIP_NO_INDEX=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

FROM tools AS registry-files
COPY requirements/registry.txt requirements/
COPY build/wheels/registry wheels/registry
RUN python3 -m pip install --quiet --find-links wheels/registry --require-hashes \
    --target /opt/cais -r requirements/registry.txt
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
COPY registry registry
COPY kubectl kubectl
RUN python3 -m pip install --quiet --no-deps --no-build-isolation --target /tmp/cais . \
    && rm -r /tmp/cais/cais_operator /tmp/cais/cais_kubectl /tmp/cais/bin/cais-operator /tmp/cais/bin/kubectl* \
    && mkdir -p /opt/cais/bin \
    && cp -r /tmp/cais/. /opt/cais/

FROM ${BASE_IMAGE} AS registry
ENV PATH=/opt/cais/bin:$PATH PYTHONPATH=/opt/cais PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
# group 0 as well: platforms that choose the user id themselves keep that group
RUN echo 'cais:x:65532:0:cais:/tmp:/sbin/nologin' >> /etc/passwd \
    && mkdir /data && chown 65532:0 /data && chmod 2770 /data
COPY --from=registry-files /opt/cais /opt/cais
USER 65532:0
VOLUME /data
EXPOSE 5000
ENTRYPOINT ["cais-registry"]
CMD ["serve", "--data", "/data", "--listen", "0.0.0.0:5000"]

FROM tools AS operator-files
COPY requirements/operator.txt requirements/
COPY build/wheels/operator wheels/operator
# The client's generated classes are loaded one by one where they are used, which is hardly anywhere:
# their compiled form would be a fifth of the image.
RUN python3 -m pip install --quiet --find-links wheels/operator --require-hashes \
    --target /opt/cais -r requirements/operator.txt \
    && rm -r /opt/cais/kubernetes/client/*/__pycache__ /opt/cais/kubernetes/aio/client/*/__pycache__
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
COPY registry registry
COPY kubectl kubectl
RUN python3 -m pip install --quiet --no-deps --no-build-isolation --target /tmp/cais . \
    && rm -r /tmp/cais/cais_registry /tmp/cais/cais_kubectl /tmp/cais/bin/cais-registry /tmp/cais/bin/kubectl* \
    && mkdir -p /opt/cais/bin \
    && cp -r /tmp/cais/. /opt/cais/

FROM ${BASE_IMAGE} AS operator
ENV PATH=/opt/cais/bin:$PATH PYTHONPATH=/opt/cais PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
RUN echo 'cais:x:65532:0:cais:/tmp:/sbin/nologin' >> /etc/passwd
COPY --from=operator-files /opt/cais /opt/cais
USER 65532:0
EXPOSE 8080
ENTRYPOINT ["cais-operator"]
CMD ["run"]
