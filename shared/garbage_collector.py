"""Python's cyclic garbage collector, set for a server."""

import gc

_YOUNG_OBJECTS = 50_000


def settle_garbage_collector() -> None:
    """After the imports, once a process: what is loaded by now lives for ever and need not be searched again.

    A request makes few cycles, so the collector also looks less often than after its default of 700 objects.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 50)
