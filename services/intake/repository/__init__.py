"""Intake's database, a file per thing that is kept."""
