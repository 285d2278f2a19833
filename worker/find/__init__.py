"""The whole life of one request, put together from what is written of it: `python -m worker.find ID`."""
