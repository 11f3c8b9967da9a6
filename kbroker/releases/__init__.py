"""The releases of Apache Kafka that kbroker knows, each as data from its own classes.

`python -m compat.releases VERSION` writes a release's module (`v4_4.py` for 4.4.0). Behaviour that
no class states as data, and that differs between releases, has a name in `behaviour.py`.
"""
