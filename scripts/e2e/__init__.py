"""The smoke test: scenarios on a cluster under load, and the report that says what was lost."""
