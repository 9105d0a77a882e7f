"""Helm on a cluster: a release rolled out, watched, and its failure explained."""
