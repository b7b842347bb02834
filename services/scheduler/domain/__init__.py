"""What the scheduler decides, as plain functions `(state, fact, now) → (state, events)`. No IO, clock, randomness or ids."""
