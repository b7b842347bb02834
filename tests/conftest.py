"""For every test: properties are not judged by the time they take, which a busy machine decides."""

from hypothesis import settings

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
