"""The pinned binaries: found where they are, or built from their Go modules and kept in the cache."""
