"""Billing alone decides money.

Owns the ledger (postings), the balances of accounts, quotes and their frozen prices, and the money side of each job.
Promises: every posting sums to zero; nobody's credits go below zero; a renter pays at most the accepted price and exactly for
the frames that are stored; a frame is charged once however often it is told; what was held and not charged goes back.
Never: schedules, verifies a picture, or believes a number that an agent said.
"""
