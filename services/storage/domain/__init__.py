"""What storage decides, pure: no IO, clock, randomness, logging, ids."""
