"""Intake's HTTP door, thin: it recognises who asks, reads what is asked, lets domain and repository answer."""
