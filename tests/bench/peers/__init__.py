"""What others do with the same request, measured beside us in the same run."""
