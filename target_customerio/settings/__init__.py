"""Settings: from files and the environment to values for the parts that use them.

- :mod:`.schema`: names, types, defaults and descriptions
- :mod:`.config`: the configuration as it is given
- :mod:`.stream_calls`: which stream is which call, with which settings
- :mod:`.stream_maps`: the setting ``stream_maps``, checked
- :mod:`.paths`: checks of paths
- :mod:`.similar_names`: names in settings that match nothing
- :mod:`.settings`: settings by the part that uses them
"""

from target_customerio.settings.settings import Settings

__all__ = ["Settings"]
