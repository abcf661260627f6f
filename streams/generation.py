"""One model version at work: the model, its collections, its replica of the catalogue, its recommender."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from encoders.runtime import ServingModel
from exporters.vector_store import CollectionNames, ItemRecord, VectorSizes, VectorStore
from streams.catalog_replica import CatalogReplica
from streams.recommender import Recommender


@dataclass(frozen=True, slots=True)
class Generation:
    """What changes together when another model takes over: vectors of two versions never meet."""

    model: ServingModel
    names: CollectionNames
    replica: CatalogReplica
    recommender: Recommender
    text_tower: str = ""
    """Digest of the text tower: text vectors of equal towers are comparable."""
    digest: str = ""
    """SHA-256 of the model's manifest: what a release must name to mean this model."""

    @property
    def version(self) -> str:
        """The model's version."""
        return self.model.version

    @property
    def sizes(self) -> VectorSizes:
        """Dimensions of the model's vectors."""
        return sizes_of(self.model)

    def encoded(self, records: Sequence[ItemRecord]) -> list[ItemRecord]:
        """Items with the vectors that this model makes of their text vectors."""
        if not records:
            return []
        vectors = self.model.item_vectors(np.stack([one.text_vector for one in records]))
        return [replace(one, vector=vector) for one, vector in zip(records, vectors, strict=True)]

    def take_in(self, store: VectorStore, records: Sequence[ItemRecord]) -> None:
        """Store items with their vectors of this model, and put them into the replica; blocks."""
        store.upsert_items(self.names, records)
        self.replica.add(records)


def sizes_of(model: ServingModel) -> VectorSizes:
    """Dimensions of a model's vectors."""
    return VectorSizes(item=model.dim, text=model.text_dim, state=model.state_dim)
