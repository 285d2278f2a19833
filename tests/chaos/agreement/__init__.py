"""Do `/stats`, the facts, Prometheus, the answers and the provider's ledger tell the same?"""
