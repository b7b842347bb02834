"""Container images of the farm: one for rendering, one for all services, one for the agent.

Each image carries a label with the hash of everything it was made from, so asking for it again costs one look.
"""
