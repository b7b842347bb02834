"""Storage: bundles in, frames verified and out, archives, retention.

Owns the object store and decides alone: bundle accepted, frame accepted, the end of a job's frames. Promises that what it says is
stored are exactly the bytes it hashed and decoded itself, and that after a seal no frame is added. Never believes an agent's
claim, never rests on conditions of the store, never lets its credentials reach a process that reads strangers' files, and
never moves a byte through the bus.
"""
