# Stands for the public image of Apache Kafka: settings from KAFKA_* variables, the same folders and user.
FROM python:3.11-slim-bookworm
RUN apt-get update \
    && install -d /usr/share/man/man1 \
    && apt-get install -y --no-install-recommends openjdk-17-jre-headless
COPY libs /opt/kafka/libs
COPY kafka_log4j2.properties /etc/kafka/docker/
COPY --chmod=755 kafka_run.sh /etc/kafka/docker/run
COPY --chmod=755 kafka_broker_api_versions.py /opt/kafka/bin/kafka-broker-api-versions.sh
RUN useradd --uid 1000 appuser \
    && install -d -o appuser -g appuser /var/lib/kafka/data
VOLUME /var/lib/kafka/data
USER appuser
EXPOSE 9092
CMD ["/etc/kafka/docker/run"]
