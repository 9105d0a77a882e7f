"""The way from a version to a published, verified and tagged record."""
