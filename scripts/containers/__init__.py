"""The container engine, the images built on it, and the compose stack."""
