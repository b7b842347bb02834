"""The notifier tells people, once.

Owns what was told to whom: a record per fact and channel (mail, webhook), and where people want to be told.
Promises: a fact is told once per channel; when a crash comes between sending and recording it is told again under the same
Message-ID or webhook id, so that the receiver can tell; what cannot be told after its tries is recorded as given up.
Never: decides anything about a job, or calls an address inside the operator's own network unless he allowed it.
"""
