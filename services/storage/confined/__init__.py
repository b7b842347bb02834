"""What reads strangers' files: processes without secrets, without network, with little memory and time.

Run as `python -m services.storage.confined pictures|sheet|archive|program`. They import the standard library, Pillow and
storage's pure rules, and answer over pipes; the service judges the answers.
"""
