"""All sabotages, as data: by name, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Mapping

from tests.sabotage.contents import CONTENTS
from tests.sabotage.documents import DOCUMENTS
from tests.sabotage.forgeries import FORGERIES
from tests.sabotage.leavings import LEAVINGS
from tests.sabotage.model import Sabotage
from tests.sabotage.plants import PLANTS
from tests.sabotage.settings import SETTINGS
from tests.sabotage.variables import VARIABLES

SABOTAGES: Mapping[str, Sabotage] = {
    **SETTINGS, **VARIABLES, **CONTENTS, **PLANTS, **LEAVINGS, **DOCUMENTS, **FORGERIES,
}  # fmt: skip
