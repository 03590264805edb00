"""The API's view of what can be searched beyond what always can."""

from __future__ import annotations

from service.web.api import search_shapes
from service.web.services import WebServices


class SearchAttributeViews:
    """One method for each operation, by its name."""

    _services: WebServices

    def search_attributes(self) -> search_shapes.SearchAttributeList:
        """Attributes that were made searchable."""
        found = [search_shapes.SearchAttributeShape.of(one) for one in self._services.search_attributes()]
        return search_shapes.SearchAttributeList(attributes=found)
