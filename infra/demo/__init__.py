"""`make demo`: the whole farm on this machine renders a real animation for a renter, on a house agent and two lenders' agents."""
