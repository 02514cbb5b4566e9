"""Reads lines and batch files.

- :mod:`.reader`: Singer messages, from standard input or a file
- :mod:`.batch_files`: the files that a BATCH message names
- :mod:`.parquet_files`: rows of Parquet files
"""
