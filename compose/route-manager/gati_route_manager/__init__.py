"""Reference route-manager: answers over gRPC where a request goes, from a routes file it watches."""
