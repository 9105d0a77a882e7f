"""Reference ingress: answers HTTP with the route that route-manager resolves over gRPC."""
