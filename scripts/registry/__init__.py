"""OCI registries: their names, logins and protocol, and the embedded one on loopback."""
