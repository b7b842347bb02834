"""What a fact can be that billing will not act on."""


class TooEarly(Exception):
    """It rests on a fact that has not arrived; no order is assumed on the bus."""


class Untrue(Exception):
    """It contradicts what is on the record: not this account's job, a seal that does not add up."""


class Breach(Exception):
    """Acting on it would break a promise of the ledger: our own fault, a person must look."""
