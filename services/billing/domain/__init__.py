"""Decisions about money: `(job, fact, now) → Outcome(job, postings, events)`, pure and in integers.

The repository saves an outcome in one transaction: the job's document, its postings and the balances they move, or nothing.
"""
