"""What everyone in the farm may know: the events, the values they share, and how they travel.

Owns no state and promises only shapes. An event may gain optional fields; anything else is a new class beside the old.
"""
