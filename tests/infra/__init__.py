"""What the farm stands on."""
