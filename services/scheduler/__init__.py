"""The scheduler gives chunks to agents and survives their loss.

Owns jobs (their plan and state), chunks (lease, attempts, which frames are still missing) and agents (slots, speed, their
broker users). Promises: no chunk is held by two attempts, no slot is given twice, what an attempt leaves undone is given out
again, and a job ends with every frame stored or with a reason. Never decides whether a frame is good (storage), what anything
costs (billing), or who may see it (intake).
"""
