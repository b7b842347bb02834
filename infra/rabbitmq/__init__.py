"""The broker: its configuration and its definitions, made from contracts.topology."""
