"""What became of each record: counters, rejected records, STATE and the summary.

- :mod:`.recorder`: takes each result
- :mod:`.counters`: counts by stream, and the figures of a run
- :mod:`.rejected`: the file of rejected records
- :mod:`.summary`: the summary and the progress line
- :mod:`.advice`: warnings about likely mistakes
- :mod:`.metrics`: the same for the SDK's metrics
"""
