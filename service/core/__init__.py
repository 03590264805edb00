"""The domain: studies, volumes, findings and the ports that the other rooms implement.

Knows the standard library, numpy, pydicom and ``service.errors``; no framework, driver or peer.
"""
