# Stands for the public image of Redis: the same programs, folders and port.
FROM python:3.11-slim-bookworm
RUN apt-get update \
    && apt-get install -y --no-install-recommends redis-server \
    && install -d -o redis -g redis /data
WORKDIR /data
VOLUME /data
USER redis
EXPOSE 6379
# That image is built without the protected mode.
ENTRYPOINT ["sh", "-c", "exec \"$@\" --protected-mode no --bind '*'", "--"]
CMD ["redis-server"]
