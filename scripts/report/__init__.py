"""Owns `dist/report.html`: what the runs found, read from the files that they left, on one page for a browser."""
