"""Verdicts on a chart that need no cluster: lint, schemas, and what changed since another version."""
