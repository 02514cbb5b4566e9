"""The page that a run leaves behind: one HTML file without anything from elsewhere.

- :mod:`.recording` observes a run and writes the page when the run ends.
- :mod:`.timeline` samples the counters of the run over time.
- :mod:`.content` is everything that the page shows, as one value.
- :mod:`.charts` draws, and :mod:`.page` renders and writes the file.

The template engine and the charts are imported when a page is written.
"""

from target_customerio.report.recording import recording

__all__ = ["recording"]
