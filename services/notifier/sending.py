"""What can go wrong when telling somebody."""


class Unsent(Exception):
    """Not now; trying again may help."""


class Refused(Exception):
    """Never; trying again cannot help."""
