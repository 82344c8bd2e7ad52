"""The snapshot of the store, in a file beside the journal."""

from .signed_file import SignedSnapshotFile

__all__ = ["SignedSnapshotFile"]
