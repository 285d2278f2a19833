"""Apache Kafka behind proxies, one a node: slow or silent for everybody, while its processes are well."""

import asyncio
import threading
from collections.abc import Callable

from tests.support.apache_kafka import ApacheKafka
from tests.support.ports import free_port
from tests.support.server import AnyKafka
from tests.support.tcp_proxy import TcpProxy


class ProxiedKafka(AnyKafka):
    """The proxies have a thread and an event loop of their own; clients and replicas come through them."""

    def __init__(self, kafka: ApacheKafka) -> None:
        self._kafka = kafka
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="kafka-proxies")
        self._proxies = [self._proxy(node) for node in kafka.node_ids]

    @property
    def name(self) -> str:
        return f"{self._kafka.name} behind proxies"

    @property
    def bootstrap_servers(self) -> str:
        return self._kafka.bootstrap_servers

    def delay(self, seconds: float) -> None:
        """Of every round trip, half of it on either way."""
        for proxy in self._proxies:
            proxy.delay_seconds = seconds / 2

    def stall(self) -> None:
        """No byte moves until `go_on`, and none is lost."""
        self._on_each(TcpProxy.blackhole)

    def go_on(self) -> None:
        self._on_each(TcpProxy.heal)

    def start(self) -> None:
        self._thread.start()
        for proxy in self._proxies:
            asyncio.run_coroutine_threadsafe(proxy.start(), self._loop).result()
        self._kafka.start()

    def stop(self) -> None:
        self._kafka.stop()
        if self._thread.is_alive():
            for proxy in self._proxies:
                asyncio.run_coroutine_threadsafe(proxy.stop(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _proxy(self, node: int) -> TcpProxy:
        proxy = TcpProxy("127.0.0.1", self._kafka.port(node))
        proxy.port = free_port()  # known before either is started: the node advertises it
        self._kafka.advertise(node, proxy.port)
        return proxy

    def _on_each(self, fault: Callable[[TcpProxy], None]) -> None:
        for proxy in self._proxies:
            self._loop.call_soon_threadsafe(fault, proxy)
