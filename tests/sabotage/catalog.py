"""All sabotages, as data: by name, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Mapping

from tests.sabotage.caches import CACHES
from tests.sabotage.containers import CONTAINERS
from tests.sabotage.contents import CONTENTS
from tests.sabotage.documents import DOCUMENTS
from tests.sabotage.forgeries import FORGERIES
from tests.sabotage.headers import HEADERS
from tests.sabotage.leavings import LEAVINGS
from tests.sabotage.links import LINKS
from tests.sabotage.model import Sabotage
from tests.sabotage.numbers import NUMBERS
from tests.sabotage.plants import PLANTS
from tests.sabotage.programs import PROGRAMS
from tests.sabotage.records import RECORDS
from tests.sabotage.registry import REGISTRY
from tests.sabotage.requests import REQUESTS
from tests.sabotage.servers import SERVERS
from tests.sabotage.settings import SETTINGS
from tests.sabotage.strangers import STRANGERS
from tests.sabotage.tampering import Tampering
from tests.sabotage.trees import TREES
from tests.sabotage.variables import VARIABLES

SABOTAGES: Mapping[str, Sabotage] = {
    **SETTINGS, **VARIABLES, **CONTENTS, **PLANTS, **LEAVINGS, **DOCUMENTS, **FORGERIES,
}  # fmt: skip
TAMPERINGS: Mapping[str, Tampering] = {
    **CACHES, **PROGRAMS, **RECORDS, **NUMBERS, **STRANGERS, **TREES, **CONTAINERS, **LINKS, **SERVERS, **REGISTRY,
    **REQUESTS, **HEADERS,
}  # fmt: skip
EVERY: Mapping[str, Sabotage | Tampering] = {**SABOTAGES, **TAMPERINGS}
