"""The lender's agent: takes chunks from its mailbox, renders them in locked containers, delivers the pictures.

Owns the attempts in its hand, its bundle cache and what it has not told yet. Promises that a finished frame is never rendered
again because of a network hiccup or a restart. Never believes what a container or a picture says, and knows nothing of the farm
but its contracts.
"""
