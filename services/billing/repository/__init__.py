"""Billing's database: accounts, agents' owners, frozen tariffs, jobs, and the postings.

Everything that moves money goes through `Books`, in one transaction: the postings, the jobs they belong to (with the events they
cause) and the balances they move. So the sums in a job and in an account can neither miss a posting nor count it twice, whatever
crashes in between; a posting's key is unique in the database, which is the last word on doing a thing once.
"""
