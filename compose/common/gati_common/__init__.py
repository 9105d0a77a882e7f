"""What both reference services share: reading their environment, and the health check of their images."""
