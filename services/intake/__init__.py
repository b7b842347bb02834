"""Intake: the farm's door.

Owns: accounts and their API keys, permissions, what people see (timeline and projections).
Promises: an account sees its own things and nobody else's (what is not yours does not exist: 404); a request that costs money
happens once per `Idempotency-Key`; a refusal says whose fault it is and what to do next; what others have decided is shown
within seconds, and late, doubled or reordered events never show anything wrong about money or stored frames.
Never: decides about frames, chunks, prices or balances; carries a renter's bytes; keeps an API key in readable form.
"""
