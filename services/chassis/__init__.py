"""What every service stands on: inboxes with verdicts, save-and-tell, logs, traces, metrics, health, settings.

Knows the contracts and no service.
"""
