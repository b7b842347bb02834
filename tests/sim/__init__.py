"""A farm in virtual time: the scheduler's own code judged in minutes instead of days.

Handlers, dispatch, domain and sweeps are the real ones, on repositories in memory (`shelves`). Around them is a seeded world:
machines of different speeds that vanish, lie, lag and straggle, a wire that delays, repeats and loses (`world`, `machine`), a
store that keeps the first picture, billing that quotes and is paid at once. What is left out: pictures, money, the broker's own
limits, and the time our services themselves need.
"""
