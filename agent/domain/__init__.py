"""What the agent decides, without doing any of it: whether to take an assignment, and what becomes of an attempt.

Pure: no IO, no clock, no ids. Times are seconds of the shell's monotonic clock, because a lender's wall clock is never believed.
"""
