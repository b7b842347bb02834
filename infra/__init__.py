"""What the farm stands on: the local stack, the broker's definitions, Prometheus, images. Never imported by a service."""
