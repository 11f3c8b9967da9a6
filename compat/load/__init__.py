"""Load and abuse: thousands of connections that behave badly beside some that behave, a long run at
full speed, and a disk that fills up.

    python -m compat.load                      # 5,000 connections; --broker apache too
    python -m compat.load soak --minutes 60
"""
