"""What both reference services share: their environment, being told to stop, the health check of their images."""
