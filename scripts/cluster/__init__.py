"""One Kubernetes cluster: how it comes to be, its API, and what is in it."""
