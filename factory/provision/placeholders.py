"""Places in a command that are filled when it is run: the script's path, its variables.

They are marked by two private characters, which no template can contain by accident, because at that time the
template's own ``{{ }}`` are gone already.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_PLACE = re.compile("\ue000(\\w+)\ue001")


def filled(text: str, values: Mapping[str, str]) -> str:
    """*text* with each place filled from *values*; a name without a value becomes nothing.

    >>> filled("sh \ue000Script\ue001", {"Script": "/tmp/x"})
    'sh /tmp/x'
    """
    return _PLACE.sub(lambda match: values.get(match[1], ""), text)
