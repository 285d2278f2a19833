# A new user's machine: what docs/run.md says that it takes, and git to clone with.
FROM python:3.11-slim-bookworm
ARG PACKAGES
RUN apt-get update \
    && apt-get install -y --no-install-recommends git curl $PACKAGES
WORKDIR /srv
