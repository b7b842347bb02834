"""What the local Prometheus scrapes."""
