"""The farm on one machine: real broker, database, store, Docker Engine and our services under one supervisor.

Everything of a farm lives in its farm folder (``.farm`` or ``FARM_DIR``), listens on loopback only, and is gone after
``down``. Several farms may run side by side, each in a folder of its own.
"""
